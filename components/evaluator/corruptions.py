"""Corrupted copies of images, as cameras and files make them.

Each takes and returns a uint8 image (32, 32, 3). They are four of the corruptions of Hendrycks and Dietterich (2019),
at the third of the five severities that they give for images of this size. The same image is always corrupted alike.
"""

import hashlib
import io
from collections.abc import Callable

import numpy as np
from PIL import Image

_NOISE = 0.08  # standard deviation, of the range of a pixel
_BLUR = 0.7  # standard deviation in pixels
_BRIGHTER = 0.15  # of the range of a pixel
_JPEG_QUALITY = 58

_FULL = 255
_BLUR_REACH = 3  # pixels; further ones weigh less than one in 10,000


def noise(image: np.ndarray) -> np.ndarray:
    """Returns the image with Gaussian noise, which differs from image to image."""
    random = np.random.RandomState(_seeds(image)[1])  # NumPy keeps its stream in all versions, unlike the newer ones'
    return _as_pixels(image + random.normal(scale=_NOISE * _FULL, size=image.shape))


def blur(image: np.ndarray) -> np.ndarray:
    """Returns the image blurred by a Gaussian; beyond its border it goes on with the border's pixels."""
    weights = np.exp(-(np.arange(-_BLUR_REACH, _BLUR_REACH + 1) ** 2) / (2 * _BLUR**2))
    weights /= weights.sum()
    height, width, _ = image.shape
    padded = np.pad(image.astype(float), ((_BLUR_REACH,) * 2, (_BLUR_REACH,) * 2, (0, 0)), mode="edge")
    rows = sum(weight * padded[offset : offset + height] for offset, weight in enumerate(weights))
    return _as_pixels(sum(weight * rows[:, offset : offset + width] for offset, weight in enumerate(weights)))


def brightness(image: np.ndarray) -> np.ndarray:
    """Returns the image with a greater value in HSV, of the same hue and saturation."""
    value = image.max(axis=-1, keepdims=True).astype(float)
    brighter = np.minimum(value + _BRIGHTER * _FULL, _FULL)
    return _as_pixels(np.where(value > 0, image / np.maximum(value, 1) * brighter, brighter))  # black has no hue


def jpeg(image: np.ndarray) -> np.ndarray:
    """Returns the image after it was a JPEG of lower quality."""
    file = io.BytesIO()
    Image.fromarray(image).save(file, "JPEG", quality=_JPEG_QUALITY)
    return np.asarray(Image.open(file))


CORRUPTIONS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "noise": noise,
    "blur": blur,
    "brightness": brightness,
    "jpeg": jpeg,
}


def choose(image: np.ndarray) -> str:
    """Returns the name of the corruption that is this image's: of many images, each gets about as many."""
    return list(CORRUPTIONS)[_seeds(image)[0] % len(CORRUPTIONS)]


def _seeds(image: np.ndarray) -> np.ndarray:
    """Returns eight uint32 that depend on the pixels alone, whatever runs this and in which order."""
    return np.frombuffer(hashlib.sha256(image.tobytes()).digest(), "<u4")


def _as_pixels(values: np.ndarray) -> np.ndarray:
    return np.clip(np.rint(values), 0, _FULL).astype(np.uint8)
