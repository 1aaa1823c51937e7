"""The embedded set: pictures of a disc and a ring, drawn from a seed, so that the pipeline runs with nothing at hand.

A class says only where the ring lies as seen from the disc. Sizes, colours, noise and the place of the pair are drawn
alike for all classes, and the gap between the two parts is wider than a patch of 4 pixels, so neither single pixels
nor single patches tell the class: a model has to carry information across the picture.
"""

import hashlib
import json
from pathlib import Path

import numpy as np

from shiftvit.config import to_dict
from shiftvit.features import IMAGE_SHAPE, NUM_CLASSES, SPLITS

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

_CHUNK = 1000  # images drawn at once: some 12 MB for each array of floats
_SIZE = IMAGE_SHAPE[0]
_RADIUS = (3.0, 4.0)  # pixels, of either part
_BESIDE = (11.5, 13.0)  # pixels from centre to centre, along the axis that a class is about
_ASKEW = (9.0, 10.5)  # the same for the classes that lie across, on both axes
_FAR = (17.0, 20.0)
_DRIFT = 1.5  # pixels, across the axis that a class is about
_NOISE = 0.05  # standard deviation, where 1 is the whole range of brightness

# Ring minus disc, in steps right and down, of the eight classes that have a direction.
_DIRECTIONS = np.array([(1, 0), (1, -1), (0, -1), (-1, -1), (-1, 0), (-1, 1), (0, 1), (1, 1)], np.float32)


def fingerprint(config) -> str:
    """Returns the sha256, in hex, of all that decides the pictures: a ShapesConfig and the code in this file."""
    digest = hashlib.sha256(json.dumps(to_dict(config), sort_keys=True).encode())
    digest.update(Path(__file__).read_bytes())
    return digest.hexdigest()


def draw(count: int, seed: int, split: str) -> tuple[np.ndarray, np.ndarray]:
    """Returns images, uint8 (count, 32, 32, 3), and their class ids, uint8 (count,).

    Classes are as even as `count` allows and in random order. The same arguments give the same pictures; another
    split of the same seed gives others.
    """
    rng = np.random.default_rng([seed, SPLITS.index(split)])
    labels = rng.permutation(np.arange(count) % NUM_CLASSES).astype(np.uint8)
    images = np.empty((count, *IMAGE_SHAPE), np.uint8)
    for start in range(0, count, _CHUNK):
        chunk = slice(start, start + _CHUNK)
        images[chunk] = _render(labels[chunk], rng)
    return images, labels


def _render(labels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Returns one picture, uint8 (32, 32, 3), for each class id."""
    disc, ring = _centres(labels, rng)
    background, *parts = _colours(len(labels), rng)
    image = background[:, None, None, :] + rng.standard_normal((len(labels), *IMAGE_SHAPE), np.float32) * _NOISE
    for coverage, colour in zip((_disc(disc, rng), _ring(ring, rng)), parts, strict=True):
        image += coverage[..., None] * (colour - background)[:, None, None, :]
    return np.clip(image * 255 + 0.5, 0, 255).astype(np.uint8)


def _centres(labels: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Returns the centres of disc and ring in pixels, (N, 2) each, such that both lie wholly in the picture."""
    offset = _offsets(labels, rng)
    margin = _RADIUS[1] + 0.5
    low = margin + np.maximum(-offset, 0)
    high = _SIZE - 1 - margin - np.maximum(offset, 0)
    disc = rng.uniform(low, high).astype(np.float32)
    return disc, disc + offset


def _offsets(labels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Returns ring minus disc in pixels, right and down, (N, 2), as each class id wants it."""
    far = labels >= len(_DIRECTIONS)
    upright = labels == NUM_CLASSES - 1
    apart = np.where(rng.random(len(labels)) < 0.5, -1, 1)[:, None] * np.where(upright[:, None], (0, 1), (1, 0))
    direction = np.where(far[:, None], apart, _DIRECTIONS[np.where(far, 0, labels)])
    shape = direction.shape
    across = np.all(direction != 0, axis=1)[:, None]
    near = np.where(across, rng.uniform(*_ASKEW, shape), rng.uniform(*_BESIDE, shape))
    distance = np.where(far[:, None], rng.uniform(*_FAR, shape), near)
    return np.where(direction == 0, rng.uniform(-_DRIFT, _DRIFT, shape), direction * distance).astype(np.float32)


def _colours(count: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Returns colours of background, disc and ring in [0, 1], (N, 3) each: light parts on dark ground.

    With half of the pictures inverted, a tiny network needs several times as many epochs before it learns anything.
    """
    background = rng.uniform(0.05, 0.35, (count, 3)).astype(np.float32)
    disc, ring = rng.uniform(0.6, 0.95, (2, count, 3)).astype(np.float32)
    return background, disc, ring


def _disc(centres: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Returns how much of each pixel, 0 to 1, a disc about each centre covers: (N, 32, 32)."""
    return np.clip(_radii(len(centres), rng) - _distances(centres) + 0.5, 0, 1)


def _ring(centres: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The same for a ring whose hole is half as wide as the whole."""
    radii, distances = _radii(len(centres), rng), _distances(centres)
    return np.clip(radii - distances + 0.5, 0, 1) * np.clip(distances - radii / 2 + 0.5, 0, 1)


def _radii(count: int, rng: np.random.Generator) -> np.ndarray:
    return rng.uniform(*_RADIUS, (count, 1, 1)).astype(np.float32)


def _distances(centres: np.ndarray) -> np.ndarray:
    """Returns the distance in pixels of every pixel from each centre: (N, 32, 32)."""
    line = np.arange(_SIZE, dtype=np.float32)
    right, down = (line - centres[:, axis, None] for axis in (0, 1))
    return np.sqrt(down[:, :, None] ** 2 + right[:, None, :] ** 2)
