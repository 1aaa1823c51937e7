"""Reads image files from the disk, or one from the standard input."""

import functools
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import numpy as np

from shiftvit import pixels
from shiftvit.config import Resize
from shiftvit.errors import DataError
from shiftvit.image_container import read_container

SUFFIXES = (".png", ".jpg", ".jpeg", ".jpe", ".jfif", ".bmp", ".gif", ".webp")  # of the formats that `pixels` reads
MAX_BYTES = 100_000_000  # of one file
STANDARD_INPUT = Path("-")


def check_image(path: Path) -> None:
    """Reads a file's header, without decoding it.

    Raises:
        DataError: when the file is missing, too large or has another format. The message names it.
    """
    with _naming(path):
        read_container(read_file(path))


def decode_image(path: Path, size: int, resize: Resize = "crop") -> np.ndarray:
    """Returns the pixels of an image file, uint8 (size, size, 3), as `pixels.decode` does.

    Raises:
        DataError: when the file is missing, too large, damaged or has another format. The message names it.
    """
    with _naming(path):
        return pixels.decode(read_file(path), size, resize)


def read_file(path: Path) -> bytes:
    """Returns the content of an image file, or of STANDARD_INPUT.

    Raises:
        OSError: when it cannot be read.
        DataError: when it is no regular file or too large. The message does not name it.
    """
    if path == STANDARD_INPUT:
        return _read_standard_input()
    if path.exists() and not path.is_file():
        raise DataError("not a file")
    with path.open("rb") as file:
        return _read(file)


@functools.cache  # it can be read once only
def _read_standard_input() -> bytes:
    if sys.stdin is None or sys.stdin.isatty():
        raise DataError("no image at the standard input; redirect or pipe one there")
    return _read(sys.stdin.buffer)


def _read(file: BinaryIO) -> bytes:
    content = file.read(MAX_BYTES + 1)
    if len(content) > MAX_BYTES:
        raise DataError(f"more than {MAX_BYTES:,} bytes; scale it down")
    return content


@contextmanager
def _naming(path: Path) -> Iterator[None]:
    """Raises DataError with the file's name for an error in the block."""
    try:
        yield
    except OSError as error:
        raise DataError(f"{path}: cannot read it ({error.strerror})") from error
    except DataError as error:
        raise DataError(f"{path}: {error}") from error
