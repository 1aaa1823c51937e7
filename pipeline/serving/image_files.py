"""Reads image files for `shiftvit predict`. Messages name the file."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from shiftvit import pixels
from shiftvit.errors import DataError
from shiftvit.image_container import read_container

MAX_BYTES = 100_000_000  # of one file


def check_image(path: Path) -> None:
    """Reads a file's header, without decoding it.

    Raises:
        DataError: when the file is missing, too large or has another format.
    """
    with _naming(path):
        read_container(_read(path))


def decode_image(path: Path, size: int) -> np.ndarray:
    """Returns the pixels of an image file, uint8 (size, size, 3).

    Raises:
        DataError: when the file is missing, too large, damaged or has another format.
    """
    with _naming(path):
        return pixels.decode(_read(path), size)


@contextmanager
def _naming(path: Path) -> Iterator[None]:
    """Puts the file's name before the message of a DataError."""
    try:
        yield
    except DataError as error:
        raise DataError(f"{path}: {error}") from error


def _read(path: Path) -> bytes:
    try:
        if path.exists() and not path.is_file():
            raise DataError("not a file")
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise DataError(f"cannot read it ({error.strerror})") from error
    if len(content) > MAX_BYTES:
        raise DataError(f"more than {MAX_BYTES:,} bytes; scale it down")
    return content
