"""Turns an image file into the pixels that the model sees: one function, for ingestion and for serving.

PNG, JPEG, BMP, GIF (the first frame) and WebP are read as a browser shows them: turned as EXIF says, transparency on
white, without a word about harmless damage. Colour profiles are ignored: values are taken for sRGB.
"""

import io
import struct
import zlib

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError, WebPImagePlugin

from shiftvit.config import Resize
from shiftvit.image_container import MAX_FILE_PIXELS, Container, damaged, read_container, too_large

assert WebPImagePlugin.SUPPORTED  # and registered, for which Pillow would import all its formats at the first WebP file

_FILTER = Image.Resampling.BICUBIC  # antialiased, as all of Pillow's filters are
_DRAFT = 2  # a large JPEG is decoded at a fraction of its size, at least this many times the size wanted

# EXIF's orientations, by what undoes them.
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}

# What Pillow raises for damaged images, whose headers it believes.
_DAMAGED = (OSError, SyntaxError, ValueError, EOFError, LookupError, TypeError, OverflowError, struct.error, zlib.error)


def decode(data: bytes, size: int, resize: Resize = "crop") -> np.ndarray:
    """Decodes an image file to RGB, uint8 (size, size, 3). An image of this size comes through unchanged.

    Args:
        data: the contents of the file.
        size: of the result, in pixels.
        resize: how an image that is not square becomes so. `crop` cuts off the ends of the long side, `pad` adds black
            bars along it, `stretch` distorts the image.

    Raises:
        DataError: when the file has another format, is damaged or exceeds a limit of `image_container`. The message
            does not name the file, whose name only the caller knows.
    """
    container = read_container(data)
    try:
        with Image.open(io.BytesIO(container.content), formats=[container.kind]) as image:
            if image.width * image.height > MAX_FILE_PIXELS:  # a header may contradict itself
                raise too_large()
            _reduce(image, _DRAFT * size)
            opaque = _cut_out(_on_white(image, container), container.frame)
    except UnidentifiedImageError as error:
        raise damaged(container.kind, "its header cannot be read") from error
    except Image.DecompressionBombError as error:
        raise too_large() from error
    except _DAMAGED as error:
        raise damaged(container.kind, error) from error
    return np.asarray(_resize(_turn_upright(opaque, container.orientation), size, resize))


def _reduce(image: Image.Image, least: int) -> None:
    """Decodes a JPEG at 1/8, 1/4 or 1/2 of its size where that divides the sides and leaves `least` pixels of each."""
    width, height = image.size
    for scale in (8, 4, 2):
        if width % scale == height % scale == 0 and min(width, height) >= scale * least:
            image.draft(None, (width // scale, height // scale))
            return


def _on_white(image: Image.Image, container: Container) -> Image.Image:
    """Returns the decoded image in RGB, on white where it is transparent."""
    image.load()
    transparent = image.info.get("transparency")  # the value, colour or palette entry of transparent pixels
    if image.mode.startswith("I"):  # 16-bit grey, which Pillow's own conversion would clip
        values = np.asarray(image)
        grey = (values >> 8).astype(np.uint8)
        grey[values == (-1 if transparent is None else transparent)] = 255
        return Image.fromarray(grey).convert("RGB")
    if image.mode == "L" and transparent is not None:  # Pillow scales the pixels to 8 bits, but not this value
        image.info["transparency"] = transparent * 255 // (2**container.bit_depth - 1)
    elif image.mode == "RGB" and transparent is not None:
        image.info["transparency"] = tuple(value >> container.bit_depth - 8 for value in transparent)
    if image.has_transparency_data:
        opaque = Image.new("RGB", image.size, "white")
        layer = image if image.mode == "RGBA" else image.convert("RGBA")
        opaque.paste(layer, mask=layer)
        return opaque
    return image if image.mode == "RGB" else image.convert("RGB")


def _cut_out(image: Image.Image, frame: tuple[int, int, int, int] | None) -> Image.Image:
    """Returns the image with white outside of the frame, which Pillow fills with some colour of the palette."""
    if frame is None:
        return image
    cut_out = Image.new("RGB", image.size, "white")
    cut_out.paste(image.crop(frame), frame[:2])
    return cut_out


def _turn_upright(image: Image.Image, orientation: int) -> Image.Image:
    return image.transpose(_UPRIGHT[orientation]) if orientation in _UPRIGHT else image


def _resize(image: Image.Image, size: int, resize: Resize) -> Image.Image:
    if image.size == (size, size):
        return image
    if resize == "stretch":
        return image.resize((size, size), _FILTER)
    if resize == "crop":
        return ImageOps.fit(image, (size, size), _FILTER)
    scale = size / max(image.size)
    inside = image.resize((max(1, round(image.width * scale)), max(1, round(image.height * scale))), _FILTER)
    padded = Image.new("RGB", (size, size))
    padded.paste(inside, ((size - inside.width) // 2, (size - inside.height) // 2))
    return padded
