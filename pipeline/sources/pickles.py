"""Reads pickles of plain values and byte arrays, safely.

CIFAR's Python versions consist of such pickles, written by Python 2 and NumPy 1. A pickle is a program: Python's own
reader calls any code that it names, and allocates as much memory as it asks for. So this module only uses the standard
library to split it into instructions, and executes just those that make plain values, at a cost proportional to their
size in the file. The description of an array is checked before the array is made.
"""

import pickletools
from collections.abc import Callable
from typing import Any

import numpy as np

from components.example_gen.records import IMAGE_BYTES
from shiftvit.errors import DataError
from shiftvit.files import utf8

_MIN_INSTRUCTIONS = 100_000  # allowed in any pickle
_IMAGE_INSTRUCTIONS = 30  # allowed for each image that fits into it; CIFAR takes 2 to 10, depending on the writer
_MAX_LABEL = 255
_MAX_QUOTE = 120  # characters

# What a broken pickle raises, as an instruction may find any operand.
_BROKEN = (ValueError, TypeError, LookupError, AttributeError)


class _Description:
    """An array or dtype as the pickle describes it: the arguments of its constructor, and its state."""

    def __init__(self, *arguments: Any):
        self.arguments, self.state = arguments, None


class _Machine:
    """Executes the instructions of a pickle of `size` bytes."""

    def __init__(self, size: int):
        self._stack: list[Any] = []
        self._marks: list[int] = []
        self._memo: dict[int, Any] = {}
        self._encodable = size  # bytes that may still be encoded from text

    def execute(self, instruction: str, argument: Any) -> None:
        """Executes one instruction, by its name in `pickletools`."""
        if instruction not in _INSTRUCTIONS:
            raise ValueError(f"its instruction {instruction} is not allowed")
        _INSTRUCTIONS[instruction](self, argument)

    def push(self, value: Any) -> None:
        self._stack.append(value)

    def pop(self, count: int) -> list[Any]:
        if len(self._stack) < count:
            raise LookupError("it pops from an empty stack")
        return self._take_from(len(self._stack) - count)

    def mark(self) -> None:
        self._marks.append(len(self._stack))

    def pop_to_mark(self) -> list[Any]:
        return self._take_from(self._marks.pop())

    def remember(self, index: int | None) -> None:
        self._memo[len(self._memo) if index is None else index] = self._stack[-1]

    def recall(self, index: int) -> None:
        self.push(self._memo[index])

    def extend_list(self, items: list[Any]) -> None:
        self._top(list).extend(items)

    def push_dictionary(self, items: list[Any]) -> None:
        self.push({})
        self.extend_dictionary(items)

    def extend_dictionary(self, items: list[Any]) -> None:
        keys, values = items[::2], items[1::2]
        if not all(isinstance(key, str | bytes) for key in keys):
            raise TypeError("a key of its dictionary is not text")
        self._top(dict).update(zip(keys, values, strict=True))

    def name(self, function: str) -> None:
        if function not in _ALLOWED_NAMES:
            raise ValueError(f"it calls {function}")
        self.push(function)

    def call(self, name: str, arguments: tuple) -> None:
        self.push(self._to_bytes(*arguments) if name == _TO_BYTES else _Description(*arguments))

    def describe(self, state: Any) -> None:
        self._top(_Description).state = state

    def _to_bytes(self, text: str, encoding: str) -> bytes:
        if encoding != "latin1":
            raise ValueError(f"it encodes bytes as {encoding}")
        self._encodable -= len(text)
        if self._encodable < 0:  # a text in the memo can be recalled any number of times
            raise ValueError("it makes more bytes than it contains")
        return text.encode("latin1")

    def _top(self, kind: type) -> Any:
        if not isinstance(self._stack[-1], kind):
            raise TypeError(f"it expects a {kind.__name__} and finds a {type(self._stack[-1]).__name__}")
        return self._stack[-1]

    def _take_from(self, start: int) -> list[Any]:
        items = self._stack[start:]
        del self._stack[start:]
        return items


_TO_BYTES = "_codecs.encode"  # how Python 3 pickles bytes for Python 2
_ALLOWED_NAMES = {
    "numpy.core.multiarray._reconstruct",
    "numpy._core.multiarray._reconstruct",
    "numpy.ndarray",
    "numpy.dtype",
    _TO_BYTES,
}
_VALUES = (
    *("INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1"),
    *("UNICODE", "SHORT_BINUNICODE", "BINUNICODE", "BINBYTES", "SHORT_BINBYTES"),
)
_PYTHON_2_STRINGS = ("STRING", "BINSTRING", "SHORT_BINSTRING")
_INSTRUCTIONS: dict[str, Callable[[_Machine, Any], None]] = {
    **dict.fromkeys(("PROTO", "FRAME", "STOP"), lambda machine, _: None),
    **dict.fromkeys(_VALUES, lambda machine, value: machine.push(value)),
    **dict.fromkeys(_PYTHON_2_STRINGS, lambda machine, text: machine.push(text.encode("latin1"))),
    "NONE": lambda machine, _: machine.push(None),
    "NEWTRUE": lambda machine, _: machine.push(True),
    "NEWFALSE": lambda machine, _: machine.push(False),
    "MARK": lambda machine, _: machine.mark(),
    **dict.fromkeys(("PUT", "BINPUT", "LONG_BINPUT", "MEMOIZE"), lambda machine, index: machine.remember(index)),
    **dict.fromkeys(("GET", "BINGET", "LONG_BINGET"), lambda machine, index: machine.recall(index)),
    "EMPTY_LIST": lambda machine, _: machine.push([]),
    "LIST": lambda machine, _: machine.push(machine.pop_to_mark()),
    "APPEND": lambda machine, _: machine.extend_list(machine.pop(1)),
    "APPENDS": lambda machine, _: machine.extend_list(machine.pop_to_mark()),
    "EMPTY_TUPLE": lambda machine, _: machine.push(()),
    "TUPLE1": lambda machine, _: machine.push(tuple(machine.pop(1))),
    "TUPLE2": lambda machine, _: machine.push(tuple(machine.pop(2))),
    "TUPLE3": lambda machine, _: machine.push(tuple(machine.pop(3))),
    "TUPLE": lambda machine, _: machine.push(tuple(machine.pop_to_mark())),
    "EMPTY_DICT": lambda machine, _: machine.push({}),
    "DICT": lambda machine, _: machine.push_dictionary(machine.pop_to_mark()),
    "SETITEM": lambda machine, _: machine.extend_dictionary(machine.pop(2)),
    "SETITEMS": lambda machine, _: machine.extend_dictionary(machine.pop_to_mark()),
    "GLOBAL": lambda machine, name: machine.name(name.replace(" ", ".", 1)),
    "STACK_GLOBAL": lambda machine, _: machine.name(".".join(machine.pop(2))),
    "REDUCE": lambda machine, _: machine.call(*machine.pop(2)),
    "BUILD": lambda machine, _: machine.describe(*machine.pop(1)),
}


def load(content: bytes, file: str) -> dict[str, Any]:
    """Returns the dictionary pickled in `content`, its keys as text.

    Raises:
        DataError: the pickle calls anything but the constructors of an array, is broken, or is not a dictionary. The
            message names `file`.
    """
    machine = _Machine(len(content))
    most = _MIN_INSTRUCTIONS + len(content) // IMAGE_BYTES * _IMAGE_INSTRUCTIONS
    try:
        for count, (instruction, argument, _) in enumerate(pickletools.genops(content)):
            if count == most:
                raise ValueError(f"it has more than {most:,} instructions")
            machine.execute(instruction.name, argument)
        (value,) = machine.pop(1)
    except _BROKEN as error:
        raise DataError(f"{file}: not a pickle of plain arrays; refused ({_printable(error)})") from error
    if not isinstance(value, dict):
        raise DataError(f"{file}: expected a pickled dictionary, found {type(value).__name__}")
    return {_text(key): _array(entry) for key, entry in value.items()}


def batch(content: bytes, label_key: str, file: str) -> tuple[np.ndarray, np.ndarray]:
    """Returns the images of a pickled batch, channel-planar uint8 (N, IMAGE_BYTES), and labels, uint8 (N,).

    Args:
        content: the pickle.
        label_key: key of its labels.
        file: its name, for messages.

    Raises:
        DataError: it contains anything else, or no image.
    """
    fields = load(content, file)
    data, labels = fields.get("data"), fields.get(label_key)
    if not (isinstance(data, np.ndarray) and data.size and data.shape[1] == IMAGE_BYTES):
        raise DataError(f"{file}: its 'data' is not an array of images, {IMAGE_BYTES} bytes each")
    count = len(data)
    if not (isinstance(labels, list) and len(labels) == count and all(type(label) is int for label in labels)):
        raise DataError(f"{file}: its {label_key!r} is not a list of {count:,} integers, one for each image")
    for index, label in enumerate(labels):
        if not 0 <= label <= _MAX_LABEL:
            raise DataError(f"{file}: label {_printable(label)} of image {index}; labels are 0 to {_MAX_LABEL} at most")
    return data, np.array(labels, np.uint8)


def class_names(content: bytes, key: str, file: str) -> list[str]:
    """Returns the class names of a pickled dictionary.

    Raises:
        DataError: it has no list of strings named `key`, or one of them is not UTF-8.
    """
    names = load(content, file).get(key)
    if not (isinstance(names, list) and all(isinstance(name, str | bytes) for name in names)):
        raise DataError(f"{file}: its {key!r} is not a list of strings")
    return [name if isinstance(name, str) else utf8.decode(name, f"{file}: class name {name!r}") for name in names]


def _array(value: Any) -> Any:
    """Returns the byte array that `value` describes; any other value is returned unchanged."""
    try:
        _, shape, kind, by_column, content = value.state
        if kind.arguments[0] not in ("u1", b"u1") or [type(side) for side in shape] != [int, int]:
            return value
        return np.frombuffer(content, np.uint8).reshape(shape, order="F" if by_column else "C")
    except _BROKEN:
        return value


def _text(value: str | bytes) -> str:
    return value.decode("utf-8", "backslashreplace") if isinstance(value, bytes) else value


def _printable(value: Any) -> str:
    """Returns short, printable text: a file may contain long text, or control sequences for a terminal."""
    return "".join(char if char.isprintable() else "?" for char in str(value)[:_MAX_QUOTE])
