"""Images as cameras store them that were turned: EXIF's orientation says how to show them upright."""

import io

import numpy as np
from PIL import Image

_ORIENTATION = 0x0112

# How an upright image is stored, by the orientation that goes with it.
TURNED = {
    1: lambda image: image,
    2: np.fliplr,
    3: lambda image: np.rot90(image, 2),
    4: np.flipud,
    5: lambda image: np.swapaxes(image, 0, 1),
    6: np.rot90,
    7: lambda image: np.rot90(np.swapaxes(image, 0, 1), 2),
    8: lambda image: np.rot90(image, -1),
}


def encode(image, kind="PNG", **options):
    """Returns the file of an image, which is Pillow's or an array."""
    file = io.BytesIO()
    (image if isinstance(image, Image.Image) else Image.fromarray(image)).save(file, kind, **options)
    return file.getvalue()


def exif(orientation):
    data = Image.Exif()
    data[_ORIENTATION] = orientation
    return data


def turned(image, orientation, kind="PNG", **options):
    """Returns the file of an upright image, an array, stored with the orientation."""
    stored = np.ascontiguousarray(TURNED[orientation](image))
    return encode(stored, kind, exif=exif(orientation), **options)
