"""The embedded data set: images of a disc and a ring, generated from a seed. It needs no download.

The class is the direction from disc to ring. Sizes, colours, noise and position have the same distribution in all
classes, and the gap between disc and ring is wider than a patch of 4 pixels. So neither single pixels nor patches
reveal the class: a model must carry information across the image.
"""

import hashlib
import json
from pathlib import Path

import numpy as np

from components.example_gen.records import IMAGE_SHAPE
from pipeline.config.settings import ShapesConfig
from shiftvit.config import to_dict
from shiftvit.features import SPLITS

CLASS_NAMES = (
    "ring right of disc",
    "ring above and right of disc",
    "ring above disc",
    "ring above and left of disc",
    "ring left of disc",
    "ring below and left of disc",
    "ring below disc",
    "ring below and right of disc",
    "ring and disc far apart on a level",
    "ring and disc far apart in a column",
)

_CHUNK = 1000  # images per step: each array of floats takes 12 MB
_SIZE = IMAGE_SHAPE[0]
_RADIUS = (3.0, 4.0)  # pixels, of disc and ring
_STRAIGHT = (11.5, 13.0)  # pixels between the centres, for directions along an axis
_DIAGONAL = (9.0, 10.5)  # pixels between the centres on each axis, for diagonal directions
_FAR = (17.0, 20.0)  # pixels between the centres, for the two "far apart" classes
_JITTER = 1.5  # pixels, largest offset across the axis of a direction
_NOISE = 0.05  # standard deviation, of brightness in [0, 1]

# Ring minus disc, right and down, of the eight classes with a direction.
_DIRECTIONS = np.array([(1, 0), (1, -1), (0, -1), (-1, -1), (-1, 0), (-1, 1), (0, 1), (1, 1)], np.float32)


def fingerprint(config: ShapesConfig) -> str:
    """Returns the sha256, in hex, of everything that determines the images: the settings and the code in this file."""
    digest = hashlib.sha256(json.dumps(to_dict(config), sort_keys=True).encode())
    digest.update(Path(__file__).read_bytes())
    return digest.hexdigest()


def draw(count: int, seed: int, split: str) -> tuple[np.ndarray, np.ndarray]:
    """Returns images, uint8 (count, 32, 32, 3), and their class ids, uint8 (count,).

    Class counts differ by at most one, and the order is random. The result depends only on the arguments, and differs
    between the splits of a seed.
    """
    rng = np.random.default_rng([seed, SPLITS.index(split)])
    labels = rng.permutation(np.arange(count) % len(CLASS_NAMES)).astype(np.uint8)
    images = np.empty((count, *IMAGE_SHAPE), np.uint8)
    for start in range(0, count, _CHUNK):
        chunk = slice(start, start + _CHUNK)
        images[chunk] = _render(labels[chunk], rng)
    return images, labels


def _render(labels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Returns one image for each class id, uint8 (N, 32, 32, 3)."""
    disc, ring = _centres(labels, rng)
    background, *parts = _colours(len(labels), rng)
    image = background[:, None, None, :] + rng.standard_normal((len(labels), *IMAGE_SHAPE), np.float32) * _NOISE
    for coverage, colour in zip((_disc(disc, rng), _ring(ring, rng)), parts, strict=True):
        image += coverage[..., None] * (colour - background)[:, None, None, :]
    return np.clip(image * 255 + 0.5, 0, 255).astype(np.uint8)


def _centres(labels: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Returns the centres of disc and ring in pixels, (N, 2) each, such that both lie within the image."""
    offset = _offsets(labels, rng)
    margin = _RADIUS[1] + 0.5
    low = margin + np.maximum(-offset, 0)
    high = _SIZE - 1 - margin - np.maximum(offset, 0)
    disc = rng.uniform(low, high).astype(np.float32)
    return disc, disc + offset


def _offsets(labels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Returns ring minus disc in pixels, right and down, (N, 2), for each class id."""
    far = labels >= len(_DIRECTIONS)
    upright = labels == len(CLASS_NAMES) - 1
    apart = np.where(rng.random(len(labels)) < 0.5, -1, 1)[:, None] * np.where(upright[:, None], (0, 1), (1, 0))
    direction = np.where(far[:, None], apart, _DIRECTIONS[np.where(far, 0, labels)])
    shape = direction.shape
    diagonal = np.all(direction != 0, axis=1)[:, None]
    near = np.where(diagonal, rng.uniform(*_DIAGONAL, shape), rng.uniform(*_STRAIGHT, shape))
    distance = np.where(far[:, None], rng.uniform(*_FAR, shape), near)
    return np.where(direction == 0, rng.uniform(-_JITTER, _JITTER, shape), direction * distance).astype(np.float32)


def _colours(count: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Returns the colours of background, disc and ring in [0, 1], (N, 3) each: bright shapes on a dark background.

    With half of the images inverted, a tiny network needs several times as many epochs before it learns anything.
    """
    background = rng.uniform(0.05, 0.35, (count, 3)).astype(np.float32)
    disc, ring = rng.uniform(0.6, 0.95, (2, count, 3)).astype(np.float32)
    return background, disc, ring


def _disc(centres: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Returns the fraction of each pixel that a disc around each centre covers, (N, 32, 32)."""
    return np.clip(_radii(len(centres), rng) - _distances(centres) + 0.5, 0, 1)


def _ring(centres: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Returns the same for a ring whose inner radius is half of the outer one."""
    radii, distances = _radii(len(centres), rng), _distances(centres)
    return np.clip(radii - distances + 0.5, 0, 1) * np.clip(distances - radii / 2 + 0.5, 0, 1)


def _radii(count: int, rng: np.random.Generator) -> np.ndarray:
    return rng.uniform(*_RADIUS, (count, 1, 1)).astype(np.float32)


def _distances(centres: np.ndarray) -> np.ndarray:
    """Returns the distance of every pixel from each centre, in pixels, (N, 32, 32)."""
    line = np.arange(_SIZE, dtype=np.float32)
    right, down = (line - centres[:, axis, None] for axis in (0, 1))
    return np.sqrt(down[:, :, None] ** 2 + right[:, None, :] ** 2)
