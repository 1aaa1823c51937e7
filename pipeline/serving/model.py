"""A loaded version of the served model. Imports TensorFlow only to load or run one."""

import contextlib
import functools
import gc
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from components import serving_folder
from pipeline.serving.protocol import DEFAULT_SIGNATURE
from pipeline.serving.signature_defs import read_signature_defs
from shiftvit import features
from shiftvit.files import paths

Item = bytes | np.ndarray  # a record, or the pixels of an image, uint8 (size, size, 3)

_PREAMBLE = ("Graph execution error:", "Detected at node", "<stack traces")  # of TensorFlow's messages
_ASSERTION = re.compile(r"assertion failed: \[(.*?)\]")
_MAX_REASON = 200  # characters


class InvalidInputError(Exception):
    """The model rejects its input; the message is its reason."""


class LoadError(Exception):
    """A version cannot be loaded or fails on its warm-up; the message is the reason.

    Attributes:
        number: of the version.
    """

    def __init__(self, number: int, reason: str):
        super().__init__(reason)
        self.number = number


class Model:
    """A loaded version.

    Args:
        folder: of the version.
        hold: keeps the folder from being removed; `close` closes it.

    Attributes:
        number: of the version.
        inputs: the input name of each supported signature, by signature name.
        image_size: of the images that the model takes, in pixels a side.
        resize: how image files that are not square become so.
        class_names: by class id.
        signature_defs: the signatures of the SavedModel, as plain data.
    """

    def __init__(self, folder: Path, hold: contextlib.ExitStack):
        from shiftvit.export import answer_of, load, resize_of

        self.number = int(folder.name)
        self.signature_defs = read_signature_defs(folder)
        self._hold = hold
        self._loaded = load(folder)
        self.inputs = {name: key for name, key in map(_only_input, self._loaded.signatures.items()) if key}
        self._answer: Any
        self._answer, self.image_size = answer_of(self._loaded)
        self.resize = resize_of(self._loaded)
        self.class_names = [name.decode() for name in self._loaded.list_classes().numpy()]

    def predict(self, signature: str, items: Sequence[Item]) -> list[dict[str, Any]]:
        """Returns the outputs of each item, by name, as plain values.

        Args:
            signature: one of `inputs`.
            items: pixels for the default signature, which decodes images; for others, what they take.

        Raises:
            InvalidInputError: when the signature cannot read one of the items.
        """
        import tensorflow as tf

        try:
            if signature == DEFAULT_SIGNATURE:
                outputs = self._answer(tf.constant(np.stack(items)))
            else:
                function, key = self._loaded.signatures[signature], self.inputs[signature]
                outputs = function(**{key: tf.constant(items, tf.string)})
        except tf.errors.InvalidArgumentError as error:
            raise InvalidInputError(_reason(error)) from error
        except UnicodeDecodeError as error:  # TensorFlow fails to quote an item that is not UTF-8
            raise InvalidInputError("it cannot be parsed") from error
        names = list(outputs)
        columns = [_plain(outputs[name].numpy()) for name in names]
        return [dict(zip(names, row, strict=True)) for row in zip(*columns, strict=True)]

    def close(self) -> None:
        """Frees the version's memory, and allows its folder to be removed."""
        self._loaded = self._answer = None
        gc.collect()  # the functions of a SavedModel form reference cycles
        self._hold.close()


def load_newest(base: Path, max_batch: int) -> Model | None:
    """Loads the newest version in the folder and warms it up; returns None if there is no version.

    Args:
        base: the folder of the versions.
        max_batch: the largest batch to warm up with.

    Raises:
        LoadError: when the version cannot be loaded or its warm-up fails.
    """
    _import_libraries()
    with contextlib.ExitStack() as stack:
        folder = stack.enter_context(serving_folder.hold_newest(base))
        if folder is None:
            return None
        try:
            model = Model(folder, stack.pop_all())
            _warm_up(model, max_batch)
        except Exception as error:  # a broken SavedModel can make the libraries raise anything
            raise LoadError(int(folder.name), paths.real(_reason(error))) from error
        return model


@functools.cache
def _import_libraries() -> None:
    """Imports TensorFlow, and exempts its objects from garbage collection, which makes `close` fast."""
    import tensorflow  # noqa: F401

    gc.freeze()


def _warm_up(model: Model, max_batch: int) -> None:
    """Runs each signature once with one item and once with `max_batch`: the first call of each shape is slow."""
    from shiftvit.export import SERVING_DEFAULT, SERVING_EXAMPLES

    if SERVING_DEFAULT not in model.inputs:
        raise ValueError(f"it has no signature {SERVING_DEFAULT}")
    blank = np.zeros(features.image_shape(model.image_size), np.uint8)
    samples: dict[str, Item] = {SERVING_DEFAULT: blank, SERVING_EXAMPLES: features.encode(blank, 0)}
    for signature in model.inputs.keys() & samples.keys():
        for count in (1, max_batch):
            model.predict(signature, [samples[signature]] * count)


def _only_input(item: tuple[str, Any]) -> tuple[str, str | None]:
    """Returns the name of a signature, and of its input if it has exactly one, a list of byte strings."""
    import tensorflow as tf

    name, function = item
    specs = function.structured_input_signature[1]
    (key, spec), *others = specs.items() or [(None, None)]
    supported = key and not others and spec.dtype == tf.string and spec.shape.rank == 1
    return name, key if supported else None


def _plain(values: np.ndarray) -> list[Any]:
    if values.dtype == object:
        return [value.decode(errors="backslashreplace") for value in values]
    return values.tolist()


def _reason(error: Exception) -> str:
    """Returns the error's message in one line, without TensorFlow's stack traces."""
    text = getattr(error, "message", None) or str(error)
    assertion = _ASSERTION.search(text)
    lines = [assertion[1]] if assertion else [line.strip() for line in text.splitlines()]
    reason = next((line for line in lines if line and not line.startswith(_PREAMBLE)), type(error).__name__)
    return reason if len(reason) <= _MAX_REASON else f"{reason[:_MAX_REASON]}…"  # it may quote a whole item
