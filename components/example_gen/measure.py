"""Measures the images of a shard while it is written, and combines the shards to the facts of the data set.

Workers leave their measurements in files, because not every Beam runner returns what its workers find.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import tensorflow as tf

from components.example_gen.bad_images import BadImage
from components.example_gen.blocks import Block
from shiftvit.config import Resize, from_dict, to_dict
from shiftvit.dataset import DatasetInfo
from shiftvit.errors import DataError
from shiftvit.features import CHANNELS, TRAIN

_DECIMALS = 4  # of mean and deviation
_VALUES_AT_ONCE = 200_000  # summed at once: they fit into the cache
_MOST_AT_ONCE = 64  # images summed at once: float32 holds the sum of so many squares exactly


@dataclass(frozen=True)
class Measured:
    """Sums over some images of a split; exact, so that their order does not matter. Pixels count in TRAIN only."""

    split: str
    start: int  # index of the first image in the split
    image_size: int  # pixels on each side; 0 if there are no images
    class_counts: tuple[int, ...]  # by class id
    pixel_sums: tuple[int, ...]  # by channel
    pixel_squares: tuple[int, ...]  # sums of the squares
    digests: tuple[str, ...] = ()  # as in Block
    bad: tuple[BadImage, ...] = ()

    def __add__(self, other: "Measured") -> "Measured":
        """Returns the sums over these images and those that follow."""
        return Measured(
            self.split,
            self.start,
            max(self.image_size, other.image_size),
            _sum([self.class_counts, other.class_counts]),
            _sum([self.pixel_sums, other.pixel_sums]),
            _sum([self.pixel_squares, other.pixel_squares]),
            self.digests + other.digests,
            self.bad + other.bad,
        )

    def save(self, path: str) -> None:
        """Writes a file that `load` reads."""
        with tf.io.gfile.GFile(path, "w") as file:
            json.dump(to_dict(self), file)


def load(path: str) -> Measured:
    """Reads what `Measured.save` wrote."""
    with tf.io.gfile.GFile(path) as file:
        return from_dict(Measured, json.load(file))


def measure(split: str, start: int, block: Block, num_classes: int) -> Measured:
    """Measures a block of a split, whose first image has the index `start`."""
    counted = split == TRAIN and len(block.images) > 0
    sums, squares = _sum_pixels(block.images) if counted else (np.zeros(CHANNELS), np.zeros(CHANNELS))
    counts = np.bincount(block.labels, minlength=num_classes).tolist()
    size = block.images.shape[1]
    return Measured(split, start, size, tuple(counts), _integers(sums), _integers(squares), block.digests, block.bad)


def _sum_pixels(images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns the sums of the values of each channel, and those of their squares, (3,) each; exact."""
    size = images[0].size
    sums, squares = np.zeros((2, size))
    at_once = min(_MOST_AT_ONCE, max(1, _VALUES_AT_ONCE // size))
    for start in range(0, len(images), at_once):
        values = images[start : start + at_once].reshape(-1, size).astype(np.float32)
        sums += values.sum(axis=0)
        squares += np.einsum("ij,ij->j", values, values)
    return sums.reshape(-1, CHANNELS).sum(axis=0), squares.reshape(-1, CHANNELS).sum(axis=0)


def _integers(values: np.ndarray) -> tuple[int, ...]:
    return tuple(values.astype(np.int64).tolist())


def combine(
    parts: Iterable[Measured], class_names: tuple[str, ...], counts: Mapping[str, int], resize: Resize = "crop"
) -> DatasetInfo:
    """Returns the facts of the data set that the shards make up.

    Args:
        parts: the measurements of all shards.
        class_names: by class id.
        counts: images that each split must have; at least one in TRAIN.
        resize: how image files that are not square became so.

    Raises:
        DataError: if a split has another number of images, or no image of some class.
    """
    shards: dict[str, list[Measured]] = {split: [] for split in counts}
    for part in parts:
        shards[part.split].append(part)
    class_counts = {split: _sum_all(found, "class_counts", len(class_names)) for split, found in shards.items()}
    for split, expected in counts.items():
        if sum(class_counts[split]) != expected:
            raise DataError(f"split {split}: {sum(class_counts[split]):,} of its {expected:,} images were ingested")
    size = max(part.image_size for part in shards[TRAIN])
    values = counts[TRAIN] * size * size * 255
    mean = np.array(_sum_all(shards[TRAIN], "pixel_sums", CHANNELS)) / values
    mean_square = np.array(_sum_all(shards[TRAIN], "pixel_squares", CHANNELS)) / (values * 255)
    std = np.sqrt(mean_square - mean**2)
    return DatasetInfo(size, class_names, class_counts, _rounded(mean), _rounded(std), resize)


def _sum_all(shards: Iterable[Measured], name: str, length: int) -> tuple[int, ...]:
    return _sum([(0,) * length, *(getattr(shard, name) for shard in shards)])


def _sum(rows: Sequence[tuple[int, ...]]) -> tuple[int, ...]:
    return tuple(sum(column) for column in zip(*rows, strict=True))


def _rounded(values: np.ndarray) -> tuple[float, ...]:
    return tuple(np.round(values, _DECIMALS).tolist())
