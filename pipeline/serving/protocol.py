"""Parses requests and builds responses of TensorFlow Serving's REST API (tensorflow.org/tfx/serving/api_rest).

Pure functions, without HTTP and TensorFlow. Supported signatures have one input, a list of byte strings.
"""

import base64
import difflib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

MODELS = "/v1/models/"
CONTENT_TYPE = "application/json"
DEFAULT_SIGNATURE = "serving_default"  # used if a request names none or "", as in TensorFlow Serving

SIGNATURE, INSTANCES, INPUTS, BYTES = "signature_name", "instances", "inputs", "b64"
_KEYS = (SIGNATURE, INSTANCES, INPUTS)

_WHITESPACE = b" \t\n\v\f\r"  # base64 tools break lines after 76 characters
_MARKS_PER_INSTANCE = 4  # commas and brackets in its longest form: {"name": {"b64": "..."}},
_OTHER_MARKS = 16


class BadRequestError(Exception):
    """The body is not a valid request; the message says where and why."""


@dataclass(frozen=True)
class PredictRequest:
    """A parsed predict request."""

    signature: str
    items: list[bytes]
    columnar: bool  # in columns ("inputs") instead of rows ("instances")

    def describe_item(self, index: int) -> str:
        """Returns the place of an item in the request, such as `instances[3]`."""
        return f"{INPUTS if self.columnar else INSTANCES}[{index}]"


def parse(body: bytes, inputs: Mapping[str, str], max_items: int) -> PredictRequest:
    """Parses the body of a predict request.

    Args:
        body: JSON.
        inputs: the input name of each signature, by signature name.
        max_items: the most items that a request may have.

    Raises:
        BadRequestError: when the body is not a valid request.
    """
    request = _load(body, max_items)
    _check_keys(request)
    signature = request.get(SIGNATURE, "")
    if not isinstance(signature, str):
        raise BadRequestError(f'"{SIGNATURE}" must be a string, not {_kind(signature)}')
    signature = signature or DEFAULT_SIGNATURE
    if signature not in inputs:
        raise BadRequestError(
            f'"{SIGNATURE}": no signature {_quote(signature)}; the model has {", ".join(sorted(inputs))}'
        )
    columnar = INPUTS in request
    values = _column(request[INPUTS], inputs[signature]) if columnar else _rows(request[INSTANCES], inputs[signature])
    where = INPUTS if columnar else INSTANCES
    if not 1 <= len(values) <= max_items:
        raise BadRequestError(f'"{where}" must have from 1 to {max_items} images, not {len(values)}')
    return PredictRequest(
        signature, [_bytes(value, f"{where}[{index}]") for index, value in enumerate(values)], columnar
    )


def predictions(rows: Sequence[Mapping[str, Any]], columnar: bool) -> bytes:
    """Returns the body of a predict response, from the outputs of each item by name, which are plain values."""
    if not columnar:
        return _dump({"predictions": list(rows)})
    return _dump({"outputs": {name: [row[name] for row in rows] for name in rows[0]}})


def status(states: Sequence[tuple[int, str, str]]) -> bytes:
    """Returns the body of a model status response.

    Args:
        states: (number, state, error message) of each version; the message is empty without an error. A state is START,
            LOADING, AVAILABLE, UNLOADING or END.
    """
    statuses = [{"error_code": "UNKNOWN" if message else "OK", "error_message": message} for _, _, message in states]
    versions = [
        {"version": str(number), "state": state, "status": status}
        for (number, state, _), status in zip(states, statuses, strict=True)
    ]
    return _dump({"model_version_status": versions})


def metadata(name: str, number: int, signature_defs: Mapping[str, Any]) -> bytes:
    """Returns the body of a model metadata response, with the signatures of a version."""
    model = {"name": name, "signature_name": "", "version": str(number)}
    return _dump({"model_spec": model, "metadata": {"signature_def": {"signature_def": signature_defs}}})


def error(reason: str) -> bytes:
    """Returns the body of an error response."""
    return _dump({"error": reason})


def decode_base64(text: str) -> bytes:
    """Decodes base64. Spaces and line breaks are ignored and padding may be missing, as in TensorFlow Serving.

    Raises:
        ValueError: when the text is not base64; the message says why.
    """
    if text.startswith("data:"):
        raise ValueError("it starts like a data URL: send only what follows its comma")
    packed = text.encode("ascii", "replace").translate(None, _WHITESPACE)  # a replaced character is no base64 either
    if b"-" in packed or b"_" in packed:
        raise ValueError("it has - or _, as in the alphabet for URLs: send the standard one, with + and /")
    return base64.b64decode(packed + b"=" * (-len(packed) % 4), validate=True)


def _check_keys(request: Mapping[str, Any]) -> None:
    """Raises BadRequestError unless there is one list of images; other keys are ignored, as in TensorFlow Serving."""
    for key in request.keys() - set(_KEYS):
        near = difflib.get_close_matches(key[:60], _KEYS, 1)
        if near:
            raise BadRequestError(f"unknown key {_quote(key)}; did you mean {near[0]}?")
    if (INSTANCES in request) == (INPUTS in request):
        raise BadRequestError(f'give either "{INSTANCES}", a list of rows, or "{INPUTS}", columns by name')


def _load(body: bytes, max_items: int) -> dict[str, Any]:
    # An empty list takes three bytes of the body and a hundred of memory, so the number of values is bounded first.
    if sum(body.count(mark) for mark in b",[{") > _MARKS_PER_INSTANCE * max_items + _OTHER_MARKS:
        raise BadRequestError(
            f"the body holds more values than {max_items} images need, the most that a request may have"
        )
    try:
        request = json.loads(body.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        raise BadRequestError(f"the body is not UTF-8 at byte {error.start}") from error
    except json.JSONDecodeError as error:
        raise BadRequestError(f"the body is not JSON: {error}") from error
    except (ValueError, RecursionError) as error:  # a number with too many digits, or too deep nesting
        raise BadRequestError(f"the body cannot be read: {error}") from error
    if not isinstance(request, dict):
        raise BadRequestError(f'the body must be an object such as {{"{INSTANCES}": [...]}}, not {_kind(request)}')
    return request


def _rows(rows: Any, name: str) -> list[Any]:
    if not isinstance(rows, list):
        raise BadRequestError(f'"{INSTANCES}" must be a list, not {_kind(rows)}')
    return [_of_row(row, name, f"{INSTANCES}[{index}]") for index, row in enumerate(rows)]


def _of_row(row: Any, name: str, where: str) -> Any:
    """Returns the value of a row, which is either the value itself or an object with the value by input name."""
    if not isinstance(row, dict) or BYTES in row:
        return row
    return _only_input(row, name, where)


def _column(columns: Any, name: str) -> list[Any]:
    if isinstance(columns, dict) and name in columns:
        columns = columns[name]  # further columns are ignored, as in TensorFlow Serving
    elif isinstance(columns, dict) and BYTES not in columns:
        columns = _only_input(columns, name, f'"{INPUTS}"')
    if not isinstance(columns, list):
        raise BadRequestError(f'"{INPUTS}" must have a list of images, not {_kind(columns)}')
    return columns


def _only_input(values: dict[str, Any], name: str, where: str) -> Any:
    wrong = next((key for key in values if key != name), None)
    if wrong is not None:
        raise BadRequestError(f"{where}: no input {_quote(wrong)}; the signature's is {name}")
    if name not in values:
        raise BadRequestError(f"{where}: {name} is missing")
    return values[name]


def _bytes(value: Any, where: str) -> bytes:
    if isinstance(value, str):
        try:
            return value.encode()
        except UnicodeEncodeError as error:
            raise BadRequestError(f"{where}: text with a lone surrogate at {error.start}") from error
    if not isinstance(value, dict):
        raise BadRequestError(f'{where} must be {{"{BYTES}": "..."}}, not {_kind(value)}')
    if set(value) != {BYTES} or not isinstance(value[BYTES], str):
        raise BadRequestError(f'{where} must be {{"{BYTES}": "..."}}, with a string and nothing else')
    return _decode(value[BYTES], where)


def _decode(text: str, where: str) -> bytes:
    try:
        return decode_base64(text)
    except ValueError as error:
        raise BadRequestError(f'{where}: "{BYTES}" is not base64 ({error})') from error


def _kind(value: Any) -> str:
    kinds = {dict: "an object", list: "a list", str: "a string", bool: "true or false", type(None): "null"}
    return kinds.get(type(value), "a number")


def _quote(text: str) -> str:
    """Quotes text of a client as JSON, which escapes control characters, and shortens it."""
    return json.dumps(text if len(text) <= 60 else f"{text[:60]}…", ensure_ascii=False)


def _dump(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False).encode("utf-8", "replace")
