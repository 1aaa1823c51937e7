"""Corruptions of images: noise, blur, brightness and JPEG compression.

Four of the corruptions of Hendrycks and Dietterich (2019), at severity 3 of 5 for CIFAR-sized images; images of all
sizes get the same. Each function takes and returns a uint8 image (size, size, 3) and is deterministic: the same image
is always corrupted in the same way.
"""

import hashlib
import io
from collections.abc import Callable

import numpy as np
from PIL import Image

_NOISE_SIGMA = 0.08  # share of the pixel range
_BLUR_SIGMA = 0.7  # pixels
_BRIGHTNESS = 0.15  # share of the pixel range
_JPEG_QUALITY = 58

_MAX_PIXEL = 255
_BLUR_RADIUS = 3  # pixels; the weights further out are below 1 in 10,000


def noise(image: np.ndarray) -> np.ndarray:
    """Adds Gaussian noise, seeded by the image."""
    random = np.random.RandomState(_hash(image)[1])  # its stream is the same in all versions of NumPy
    return _to_uint8(image + random.normal(scale=_NOISE_SIGMA * _MAX_PIXEL, size=image.shape))


def blur(image: np.ndarray) -> np.ndarray:
    """Blurs with a Gaussian kernel; the border's pixels are repeated outwards."""
    weights = np.exp(-(np.arange(-_BLUR_RADIUS, _BLUR_RADIUS + 1) ** 2) / (2 * _BLUR_SIGMA**2))
    weights /= weights.sum()
    height, width, _ = image.shape
    padded = np.pad(image.astype(float), ((_BLUR_RADIUS,) * 2, (_BLUR_RADIUS,) * 2, (0, 0)), mode="edge")
    rows = sum(weight * padded[offset : offset + height] for offset, weight in enumerate(weights))
    return _to_uint8(sum(weight * rows[:, offset : offset + width] for offset, weight in enumerate(weights)))


def brightness(image: np.ndarray) -> np.ndarray:
    """Raises the value in HSV; hue and saturation stay."""
    value = image.max(axis=-1, keepdims=True).astype(float)
    brighter = np.minimum(value + _BRIGHTNESS * _MAX_PIXEL, _MAX_PIXEL)
    return _to_uint8(np.where(value > 0, image / np.maximum(value, 1) * brighter, brighter))  # black has no hue


def jpeg(image: np.ndarray) -> np.ndarray:
    """Compresses to a JPEG of low quality and decodes it."""
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
    """Returns the name of this image's corruption; over many images, each corruption is as frequent."""
    return list(CORRUPTIONS)[_hash(image)[0] % len(CORRUPTIONS)]


def _hash(image: np.ndarray) -> np.ndarray:
    """Returns a hash of the pixels, eight uint32, the same on every worker and in every order."""
    return np.frombuffer(hashlib.sha256(image.tobytes()).digest(), "<u4")


def _to_uint8(values: np.ndarray) -> np.ndarray:
    return np.clip(np.rint(values), 0, _MAX_PIXEL).astype(np.uint8)
