"""TensorFlow Serving's REST form (tensorflow.org/tfx/serving/api_rest): what requests say and answers look like.

Pure functions, without HTTP and TensorFlow. The signatures that can be asked have one input, a list of byte strings.
"""

import base64
import binascii
import difflib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

MODELS = "/v1/models/"
CONTENT_TYPE = "application/json"
DEFAULT_SIGNATURE = "serving_default"  # TensorFlow Serving's own, where a request names none

SIGNATURE, INSTANCES, INPUTS, BYTES = "signature_name", "instances", "inputs", "b64"

_VALUES_OF_AN_INSTANCE = 4  # commas and brackets in its longest form: {"name": {"b64": "..."}},
_OTHER_VALUES = 16


class BadRequestError(Exception):
    """The body cannot be understood; the message says where and why."""


@dataclass(frozen=True)
class Question:
    """What a predict request asks."""

    signature: str
    items: list[bytes]
    columnar: bool  # whether it is in columns ("inputs") or in rows ("instances")

    def place(self, index: int) -> str:
        """Returns how the request itself would name one of its items."""
        return f"{INPUTS if self.columnar else INSTANCES}[{index}]"


def parse(body: bytes, inputs: Mapping[str, str], most: int) -> Question:
    """Returns what a predict body asks.

    Args:
        body: the JSON.
        inputs: the name of the input of each signature, by that of the signature.
        most: how many items it may have.

    Raises:
        BadRequestError: when it is not of that form.
    """
    request = _load(body, most)
    unknown = [key for key in request if key not in (SIGNATURE, INSTANCES, INPUTS)]
    if unknown:
        raise BadRequestError(f"unknown key {_quote(unknown[0])}{_nearest(unknown[0], (SIGNATURE, INSTANCES, INPUTS))}")
    if (INSTANCES in request) == (INPUTS in request):
        raise BadRequestError(f'give one of "{INSTANCES}", a list of rows, and "{INPUTS}", columns by name')
    signature = request.get(SIGNATURE, DEFAULT_SIGNATURE)
    if not isinstance(signature, str):
        raise BadRequestError(f'"{SIGNATURE}" must be a string, not {_kind(signature)}')
    if signature not in inputs:
        raise BadRequestError(f'"{SIGNATURE}": no signature {_quote(signature)}; there are {", ".join(sorted(inputs))}')
    columnar = INPUTS in request
    values = _column(request[INPUTS], inputs[signature]) if columnar else _rows(request[INSTANCES], inputs[signature])
    where = INPUTS if columnar else INSTANCES
    if not 1 <= len(values) <= most:
        raise BadRequestError(f'"{where}" must have from 1 to {most} images, not {len(values)}')
    return Question(signature, [_bytes(value, f"{where}[{index}]") for index, value in enumerate(values)], columnar)


def answer(rows: Sequence[Mapping[str, Any]], columnar: bool) -> bytes:
    """Returns the body that answers, from the outputs of each item by name, which are plain values."""
    if not columnar:
        return _dump({"predictions": list(rows)})
    return _dump({"outputs": {name: [row[name] for row in rows] for name in rows[0]}})


def status(states: Sequence[tuple[int, str, str]]) -> bytes:
    """Returns the body that tells the state of versions, each as (number, state, message); no message where it is well.

    A state is START, LOADING, AVAILABLE, UNLOADING or END.
    """
    return _dump(
        {
            "model_version_status": [
                {
                    "version": str(number),
                    "state": state,
                    "status": {"error_code": "UNKNOWN" if message else "OK", "error_message": message},
                }
                for number, state, message in states
            ]
        }
    )


def metadata(name: str, number: int, signature_defs: Mapping[str, Any]) -> bytes:
    """Returns the body that tells the signatures of a version."""
    return _dump(
        {
            "model_spec": {"name": name, "signature_name": "", "version": str(number)},
            "metadata": {"signature_def": {"signature_def": signature_defs}},
        }
    )


def error(sentence: str) -> bytes:
    """Returns the body that tells why a request failed."""
    return _dump({"error": sentence})


def _load(body: bytes, most: int) -> dict[str, Any]:
    # Empty lists and objects are three bytes of the body each and a hundred of memory: they are told before they are.
    if sum(body.count(mark) for mark in b",[{") > _VALUES_OF_AN_INSTANCE * most + _OTHER_VALUES:
        raise BadRequestError(f"the body holds more values than {most} images, the most of a request, can need")
    try:
        request = json.loads(body.decode())
    except UnicodeDecodeError as error:
        raise BadRequestError(f"the body is not UTF-8 at byte {error.start}") from error
    except json.JSONDecodeError as error:
        raise BadRequestError(f"the body is not JSON: {error}") from error
    except (ValueError, RecursionError) as error:  # a number of too many digits; brackets too deep
        raise BadRequestError(f"the body cannot be read: {error}") from error
    if not isinstance(request, dict):
        raise BadRequestError(f'the body must be an object, as {{"{INSTANCES}": [...]}}, not {_kind(request)}')
    return request


def _rows(rows: Any, name: str) -> list[Any]:
    if not isinstance(rows, list):
        raise BadRequestError(f'"{INSTANCES}" must be a list, not {_kind(rows)}')
    return [_of_row(row, name, f"{INSTANCES}[{index}]") for index, row in enumerate(rows)]


def _of_row(row: Any, name: str, where: str) -> Any:
    """A row is a value, or an object of the values of all inputs, of which there is one."""
    if not isinstance(row, dict) or BYTES in row:
        return row
    return _only_input(row, name, where)


def _column(columns: Any, name: str) -> list[Any]:
    column = _only_input(columns, name, f'"{INPUTS}"') if isinstance(columns, dict) else columns
    if not isinstance(column, list):
        raise BadRequestError(f'"{INPUTS}" must have a list of images, not {_kind(column)}')
    return column


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
            raise BadRequestError(f"{where}: text with half a character at {error.start}") from error
    if not isinstance(value, dict):
        raise BadRequestError(f'{where} must be {{"{BYTES}": "..."}}, not {_kind(value)}')
    if set(value) != {BYTES} or not isinstance(value[BYTES], str):
        raise BadRequestError(f'{where} must be {{"{BYTES}": "..."}}, with a string and nothing else')
    return _decode(value[BYTES], where)


def _decode(text: str, where: str) -> bytes:
    """As TensorFlow Serving, does without the padding where it is left out."""
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
    except (binascii.Error, ValueError) as error:  # ValueError: it is not ASCII
        raise BadRequestError(f'{where}: "{BYTES}" is not base64 ({error})') from error


def _kind(value: Any) -> str:
    kinds = {dict: "an object", list: "a list", str: "a string", bool: "true or false", type(None): "null"}
    return kinds.get(type(value), "a number")


def _quote(text: str) -> str:
    """As JSON: what a stranger wrote shows no control characters, and not at length."""
    return json.dumps(text if len(text) <= 60 else f"{text[:60]}…", ensure_ascii=False)


def _nearest(word: str, words: Sequence[str]) -> str:
    near = difflib.get_close_matches(word[:60], words, 1)
    return f"; did you mean {near[0]}?" if near else f"; there are {', '.join(words)}"


def _dump(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False).encode("utf-8", "replace")
