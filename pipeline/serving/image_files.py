"""Checks image files before the model reads them: a damaged or huge one gets a message that names the file."""

import struct
import zlib
from pathlib import Path

from PIL import Image

from shiftvit.errors import DataError
from shiftvit.features import JPEG_SCAN, MAX_FILE_PIXELS, MAX_FILE_SCANS

MAX_BYTES = 100_000_000  # of one file
_SIGNATURES = {b"\x89PNG\r\n\x1a\n": "PNG", b"\xff\xd8\xff": "JPEG"}

# What Pillow raises for damaged images, whose own headers it believes.
_DAMAGED = (OSError, SyntaxError, ValueError, EOFError, LookupError, TypeError, OverflowError, struct.error, zlib.error)


def check_image(path: Path) -> None:
    """Decodes a PNG or JPEG file.

    Raises:
        DataError: when the file is missing, has another format, is damaged or is too large.
    """
    kind = _read_kind(path)
    try:
        with Image.open(path, formats=[kind]) as image:
            if image.width * image.height > MAX_FILE_PIXELS:
                raise Image.DecompressionBombError  # as Pillow does at a limit of its own
            image.load()
    except Image.DecompressionBombError as error:
        raise DataError(f"{path}: more than {MAX_FILE_PIXELS:,} pixels; scale it down") from error
    except _DAMAGED as error:
        raise DataError(f"{path}: a damaged {kind} image ({error})") from error


def _read_kind(path: Path) -> str:
    """Returns PNG or JPEG.

    Raises:
        DataError: for a file that can be rejected without decoding it.
    """
    try:
        if path.exists() and not path.is_file():
            raise DataError(f"{path}: not a file")
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise DataError(f"{path}: cannot read it ({error.strerror})") from error
    kind = next((kind for signature, kind in _SIGNATURES.items() if content.startswith(signature)), None)
    if kind is None:
        raise DataError(f"{path}: not a PNG or JPEG image; convert it to one of them")
    if len(content) > MAX_BYTES:
        raise DataError(f"{path}: more than {MAX_BYTES:,} bytes; scale it down")
    if kind == "JPEG" and content.count(JPEG_SCAN) > MAX_FILE_SCANS:
        raise DataError(f"{path}: a JPEG with more than {MAX_FILE_SCANS} scans; save it again as a baseline JPEG")
    return kind
