"""A version of the served model in memory. Imports TensorFlow only where a version is loaded or asked."""

import contextlib
import functools
import gc
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from components import serving_folder
from shiftvit import features

_PREAMBLE = ("Graph execution error:", "Detected at node", "<stack traces")  # of TensorFlow's messages
_ASSERTED = re.compile(r"assertion failed: \[(.*?)\]")
_MOST_SAID = 200  # characters


class RefusedError(Exception):
    """The model refuses what it was given; the message is its reason."""


class UnusableError(Exception):
    """A version does not load, or does not answer; the message says why."""

    def __init__(self, number: int, reason: str):
        super().__init__(reason)
        self.number = number


class Model:
    """A loaded version, which stays in its folder until `close`.

    Attributes:
        number: of the version.
        inputs: the name of the input of each signature that can be asked, by that of the signature.
        class_names: by class id.
        signature_defs: all that the SavedModel says of its signatures, as plain data.
    """

    def __init__(self, folder: Path, hold: contextlib.ExitStack):
        import tensorflow as tf

        self.number = int(folder.name)
        self.signature_defs = _read_signature_defs(folder)
        self._hold = hold
        self._loaded = tf.saved_model.load(str(folder))
        self.inputs = {name: key for name, key in map(_only_input, self._loaded.signatures.items()) if key}
        self.class_names = [name.decode() for name in self._loaded.list_classes().numpy()]

    def ask(self, signature: str, items: Sequence[bytes]) -> list[dict[str, Any]]:
        """Returns the outputs of each item by name, as plain values.

        Raises:
            RefusedError: when one of the items is not what the signature takes.
        """
        import tensorflow as tf

        function, key = self._loaded.signatures[signature], self.inputs[signature]
        try:
            outputs = function(**{key: tf.constant(items, tf.string)})
        except tf.errors.InvalidArgumentError as error:
            raise RefusedError(_reason(error)) from error
        except UnicodeDecodeError as error:  # TensorFlow quotes what it was given, and cannot where that is no text
            raise RefusedError("it cannot be parsed") from error
        names = list(outputs)
        columns = [_plain(outputs[name].numpy()) for name in names]
        return [dict(zip(names, row, strict=True)) for row in zip(*columns, strict=True)]

    def close(self) -> None:
        """Lets the version go: its folder may be removed, and its memory is free."""
        self._loaded = None
        gc.collect()  # the functions of a SavedModel refer to one another
        self._hold.close()


def load_newest(base: Path, batch: int) -> Model | None:
    """Loads the newest version in the folder and asks it once, with one image and with `batch`; None without one.

    The first questions are slow, and a version that does not answer them is not served.

    Raises:
        UnusableError: when it does not load or answer.
    """
    _import_libraries()
    with contextlib.ExitStack() as stack:
        folder = stack.enter_context(serving_folder.hold_newest(base))
        if folder is None:
            return None
        try:
            model = Model(folder, stack.pop_all())
            _warm(model, batch)
        except Exception as error:  # whatever a file that is not what it should be makes the libraries raise
            raise UnusableError(int(folder.name), _reason(error)) from error
        return model


@functools.cache
def _import_libraries() -> None:
    """Once, before the first version: what they have in memory stays, so that `close` need not look through it."""
    import tensorflow  # noqa: F401

    gc.freeze()


def _warm(model: Model, batch: int) -> None:
    from shiftvit.export import SERVING_DEFAULT, SERVING_EXAMPLES

    if SERVING_DEFAULT not in model.inputs:
        raise ValueError(f"it has no signature {SERVING_DEFAULT}")
    samples = {SERVING_DEFAULT: _blank_image(), SERVING_EXAMPLES: _blank_example()}
    for signature in model.inputs.keys() & samples.keys():
        for count in (1, batch):
            model.ask(signature, [samples[signature]] * count)


def _blank_image() -> bytes:
    import tensorflow as tf

    return tf.io.encode_png(tf.zeros(features.IMAGE_SHAPE, tf.uint8)).numpy()


def _blank_example() -> bytes:
    import numpy as np

    return features.encode(np.zeros(features.IMAGE_SHAPE, np.uint8), 0)


def _only_input(named: tuple[str, Any]) -> tuple[str, str | None]:
    """Returns the name of a signature, and of its input where that is one list of byte strings."""
    import tensorflow as tf

    name, function = named
    specs = function.structured_input_signature[1]
    (key, spec), *others = specs.items() or [(None, None)]
    askable = key and not others and spec.dtype == tf.string and spec.shape.rank == 1
    return name, key if askable else None


def _read_signature_defs(folder: Path) -> Mapping[str, Any]:
    """Returns them as TensorFlow Serving writes any message: with the names and the default values of its fields."""
    from google.protobuf import json_format
    from tensorflow.core.protobuf import saved_model_pb2

    saved = saved_model_pb2.SavedModel.FromString((folder / serving_folder.MODEL_FILE).read_bytes())
    return {
        name: json_format.MessageToDict(
            signature, including_default_value_fields=True, preserving_proto_field_name=True
        )
        for name, signature in saved.meta_graphs[0].signature_def.items()
    }


def _plain(values) -> list[Any]:
    if values.dtype == object:
        return [value.decode(errors="replace") for value in values]
    return values.tolist()


def _reason(error: Exception) -> str:
    """Returns what an error says in a line, without TensorFlow's account of where it was raised."""
    text = getattr(error, "message", None) or str(error)
    asserted = _ASSERTED.search(text)
    lines = [asserted[1]] if asserted else [line.strip() for line in text.splitlines()]
    said = next((line for line in lines if line and not line.startswith(_PREAMBLE)), type(error).__name__)
    return said if len(said) <= _MOST_SAID else f"{said[:_MOST_SAID]}…"  # it may quote all that it was given
