"""Reads the container of an image file: its format, size and orientation. Decompresses nothing.

Decoders believe what a file says about itself, so the limits are checked here first. What does not matter to the pixels
is cut out, such as colour profiles, text, previews and whatever follows the image. If it is damaged or hostile, no
decoder sees it.
"""

import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass

from shiftvit.errors import DataError

# Limits of an image file, so that a small file cannot take all memory or unlimited time to decode.
MAX_FILE_PIXELS = 32_000_000  # 100 MB when decoded
MAX_FILE_SCANS = 100  # of a JPEG; progressive files have about ten
JPEG_SCAN = b"\xff\xda"  # the marker that begins a scan; it does not occur within one
_MAX_BLOCKS = 200_000  # chunks of a PNG, segments of a JPEG and so on; large files have ten thousand

_PNG_HEADER_END = 33
_JPEG_MARKER = re.compile(rb"\xff[^\x00\x01\xd0-\xd8\xff]")  # none that occurs within a scan or has no content
_JPEG_FRAMES = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}  # frame headers; they have the size
_JPEG_METADATA = {*range(0xE1, 0xF0), 0xFE} - {0xEE}  # APP1 to APP15 and comments; APP14 has the colour transform
_BMP_RUN_LENGTHS = (1, 2)  # compressions of 8 and of 4 bits
_EXIF = b"Exif\0\0"
_ORIENTATION, _SHORT = 0x0112, 3  # tag and type of EXIF's orientation


@dataclass(frozen=True)
class Container:
    """An image file that is not decoded yet.

    Attributes:
        kind: Pillow's name of the format.
        width: in pixels, before the orientation is applied.
        height: in pixels, likewise.
        content: the file, without what does not matter to its pixels.
        orientation: from EXIF, 1 to 8.
        bit_depth: of the samples of a PNG.
        frame: left, top, right and bottom of the part of a GIF that its first frame covers; None: all of it.
    """

    kind: str
    width: int
    height: int
    content: bytes
    orientation: int = 1
    bit_depth: int = 8
    frame: tuple[int, int, int, int] | None = None


def read_container(data: bytes) -> Container:
    """Reads an image file, in time linear in its bytes.

    Raises:
        DataError: when it is no PNG, JPEG, BMP, GIF or WebP file, has a damaged container, or exceeds MAX_FILE_PIXELS
            or MAX_FILE_SCANS. The message does not name the file, whose name only the caller knows.
    """
    found = next(((kind, read) for signature, kind, read in _READERS if signature.match(data)), None)
    if found is None:
        raise DataError("not a PNG, JPEG, BMP, GIF or WebP image; convert it to one of them")
    kind, read = found
    try:
        container = read(data)
    except (struct.error, IndexError) as error:
        raise damaged(kind, "its header is incomplete") from error
    if container.width * container.height > MAX_FILE_PIXELS:
        raise too_large()
    return container


def damaged(kind: str, reason: object) -> DataError:
    """Returns the error for a damaged image of a format."""
    return DataError(f"a damaged {kind} image ({reason})")


def too_large() -> DataError:
    """Returns the error for an image with too many pixels."""
    return DataError(f"more than {MAX_FILE_PIXELS:,} pixels; scale it down")


def _blocks(kind: str) -> Iterator[int]:
    """Counts the blocks of a file; raises DataError after _MAX_BLOCKS."""
    yield from range(_MAX_BLOCKS)
    raise damaged(kind, f"it has more than {_MAX_BLOCKS:,} blocks")


def _read_png(data: bytes) -> Container:
    width, height, depth = struct.unpack_from(">IIB", data, 16)
    parts, exif, position = [data[:_PNG_HEADER_END]], b"", _PNG_HEADER_END
    for _ in _blocks("PNG"):
        length, name = data[position : position + 4], data[position + 4 : position + 8]
        end = position + 12 + int.from_bytes(length, "big")
        if name in (b"PLTE", b"tRNS", b"IDAT", b"IEND"):
            if end > len(data) and name != b"IEND":
                raise damaged("PNG", "it is cut short")
            parts.append(data[position:end])
        elif name == b"eXIf":
            exif = data[position + 8 : end - 4]
        if name == b"IEND" or end > len(data):
            break
        position = end
    return Container("PNG", width, height, b"".join(parts), _orientation(exif), depth)


def _read_jpeg(data: bytes) -> Container:
    parts, exif, width, height, position = [data[:2]], b"", 0, 0, 2
    for _ in _blocks("JPEG"):
        found = _JPEG_MARKER.search(data, position)  # skips stray bytes, as decoders do
        if not found or found[0] == b"\xff\xd9":
            parts.append(found[0] if found else b"")
            break
        start, marker = found.start(), found[0][1]
        end = start + 2 + struct.unpack_from(">H", data, start + 2)[0]
        if marker in _JPEG_FRAMES:
            height, width = struct.unpack_from(">HH", data, start + 5)
        elif marker == JPEG_SCAN[1]:
            following = _JPEG_MARKER.search(data, end)
            end = following.start() if following else len(data)
        elif marker == 0xE1 and data.startswith(_EXIF, start + 4):
            exif = exif or data[start + 4 : end]
        if marker not in _JPEG_METADATA:
            parts.append(data[start:end])
        position = end
    content = b"".join(parts)
    if content.count(JPEG_SCAN) > MAX_FILE_SCANS:
        raise DataError(f"a JPEG with more than {MAX_FILE_SCANS} scans; save it again as a baseline JPEG")
    return Container("JPEG", width, height, content, _orientation(exif))


def _read_gif(data: bytes) -> Container:
    width, height, flags = struct.unpack_from("<HHB", data, 6)
    position, blocks = 13 + (3 << (flags & 7) + 1 if flags & 0x80 else 0), _blocks("GIF")
    parts = [data[:position]]
    while data[position] == ord("!"):  # an extension
        start, position = position, position + 2
        while data[position]:
            next(blocks)
            position += 1 + data[position]
        next(blocks)
        position += 1
        if data[start + 1] == 0xF9:  # has the transparent colour
            parts.append(data[start:position])
    left, top, frame_width, frame_height = struct.unpack_from("<HHHH", data, position + 1)
    frame = left, top, left + frame_width, top + frame_height
    size = max(width, frame[2]), max(height, frame[3])
    return Container("GIF", *size, b"".join(parts) + data[position:], frame=None if frame == (0, 0, *size) else frame)


def _read_bmp(data: bytes) -> Container:
    (header_size,) = struct.unpack_from("<I", data, 14)
    width, height = struct.unpack_from("<HH" if header_size == 12 else "<ii", data, 18)
    if header_size > 12 and struct.unpack_from("<I", data, 30)[0] in _BMP_RUN_LENGTHS:  # Pillow takes a minute for them
        raise DataError("a BMP with run-length encoding; save it as a PNG")
    return Container("BMP", abs(width), abs(height), data)


def _read_webp(data: bytes) -> Container:
    kind = data[12:16]
    if kind == b"VP8 ":
        width, height = (side & 0x3FFF for side in struct.unpack_from("<HH", data, 26))
    elif kind == b"VP8L":
        (sides,) = struct.unpack_from("<I", data, 21)
        width, height = 1 + (sides & 0x3FFF), 1 + (sides >> 14 & 0x3FFF)
    else:
        width, height = (1 + int.from_bytes(data[start : start + 3], "little") for start in (24, 27))
    exif, position = b"", 12
    for _ in _blocks("WEBP"):
        name, length = data[position : position + 4], data[position + 4 : position + 8]
        end = position + 8 + int.from_bytes(length, "little")
        if name == b"EXIF":
            exif = data[position + 8 : end]
        if end >= len(data):
            break
        position = end + end % 2
    return Container("WEBP", width, height, data, _orientation(exif))


def _orientation(exif: bytes) -> int:
    """Returns the orientation in EXIF data, or 1 if there is none. Never fails."""
    tiff = exif.removeprefix(_EXIF)
    order = {b"II": "<", b"MM": ">"}.get(tiff[:2], "<")
    try:
        (start,) = struct.unpack_from(f"{order}I", tiff, 4)
        (count,) = struct.unpack_from(f"{order}H", tiff, start)
        for entry in range(start + 2, start + 2 + 12 * count, 12):
            tag, kind, _, value = struct.unpack_from(f"{order}HHIH", tiff, entry)
            if (tag, kind) == (_ORIENTATION, _SHORT):
                return value if value in range(1, 9) else 1
    except struct.error:  # it is cut short
        pass
    return 1


_READERS = (
    (re.compile(rb"\x89PNG\r\n\x1a\n.{4}IHDR", re.DOTALL), "PNG", _read_png),
    (re.compile(rb"\xff\xd8\xff"), "JPEG", _read_jpeg),
    (re.compile(rb"GIF8[79]a"), "GIF", _read_gif),
    (re.compile(rb"BM.{12}[\x0c\x28\x34\x38\x40\x6c\x7c]\0\0\0", re.DOTALL), "BMP", _read_bmp),
    (re.compile(rb"RIFF.{4}WEBPVP8[ LX]", re.DOTALL), "WEBP", _read_webp),
)  # what each begins with
