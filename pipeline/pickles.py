"""Reads a pickle of plain values and NumPy arrays, and nothing else: a pickle can name any code for its reader to call.

CIFAR-10's python version is made of such pickles, by Python 2 and NumPy 1.
"""

import codecs
import io
import pickle
from typing import Any

import numpy as np

from shiftvit.errors import DataError
from shiftvit.features import IMAGE_BYTES, NUM_CLASSES

_RECONSTRUCT = np.empty(0).__reduce__()[0]  # lives in a private module, whose name depends on NumPy's version
_ALLOWED = {
    "numpy.core.multiarray._reconstruct": _RECONSTRUCT,
    "numpy._core.multiarray._reconstruct": _RECONSTRUCT,
    "numpy.ndarray": np.ndarray,
    "numpy.dtype": np.dtype,
    "_codecs.encode": codecs.encode,  # how Python 3 writes bytes in the protocols of Python 2
}

# What a broken pickle makes its reader raise: it is a program, and any step of it can fail.
_BROKEN = (
    pickle.UnpicklingError,
    EOFError,
    ValueError,
    TypeError,
    LookupError,
    AttributeError,
    OverflowError,
    MemoryError,
)


class _ArrayUnpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        called = f"{module}.{name}"
        if called not in _ALLOWED:
            raise pickle.UnpicklingError(f"it calls {called}")
        return _ALLOWED[called]


def load(content: bytes, file: str) -> dict[str, Any]:
    """Returns the dictionary pickled in `content`, its keys as text.

    Raises:
        DataError: naming `file`, when the pickle calls anything but what rebuilds an array, is broken, or is
            something else than a dictionary.
    """
    try:
        value = _ArrayUnpickler(io.BytesIO(content), encoding="bytes").load()
    except _BROKEN as error:
        raise DataError(f"{file}: not a pickle of plain arrays, so it was not read ({error})") from error
    if not isinstance(value, dict):
        raise DataError(f"{file}: expected a pickled dictionary, found {type(value).__name__}")
    return {_text(key): entry for key, entry in value.items()}


def batch(content: bytes, records: int, file: str) -> tuple[np.ndarray, np.ndarray]:
    """Returns the images of a pickled batch, channel-planar uint8 (records, IMAGE_BYTES), and labels, int64 (records,).

    Raises:
        DataError: when it holds anything else.
    """
    fields = load(content, file)
    data, labels = fields.get("data"), fields.get("labels")
    if not (isinstance(data, np.ndarray) and data.dtype == np.uint8 and data.shape == (records, IMAGE_BYTES)):
        raise DataError(f"{file}: its 'data' is not an array of {records:,} images, {IMAGE_BYTES} bytes each")
    if not (isinstance(labels, list) and len(labels) == records and all(type(label) is int for label in labels)):
        raise DataError(f"{file}: its 'labels' is not a list of {records:,} whole numbers")
    for index, label in enumerate(labels):
        if not 0 <= label < NUM_CLASSES:
            raise DataError(f"{file}: label {label} of image {index}; labels are 0 to {NUM_CLASSES - 1}")
    return data, np.array(labels)


def class_names(content: bytes, file: str) -> list[str]:
    """Returns the class names of a pickled batches.meta."""
    names = load(content, file).get("label_names")
    if not isinstance(names, list):
        raise DataError(f"{file}: it has no list 'label_names'")
    return [_text(name) for name in names]


def _text(value: Any) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
