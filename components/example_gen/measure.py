"""Measures the images of a shard while it is written, and combines the shards to the facts of the data set.

Workers leave their measurements in files, because not every Beam runner returns what its workers find.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import tensorflow as tf

from shiftvit.config import from_dict, to_dict
from shiftvit.dataset import DatasetInfo
from shiftvit.errors import DataError
from shiftvit.features import CHANNELS, TRAIN

_DECIMALS = 4  # of mean and deviation
_BLOCK = 64  # images summed at once: they fit into the cache, and float32 holds the sum of their squares exactly


@dataclass(frozen=True)
class Measured:
    """Sums over some images of a split; exact, so that their order does not matter. Pixels count in TRAIN only."""

    split: str
    image_size: int  # pixels on each side
    class_counts: tuple[int, ...]  # by class id
    pixel_sums: tuple[int, ...]  # by channel
    pixel_squares: tuple[int, ...]  # sums of the squares

    def save(self, path: str) -> None:
        """Writes a file that `load` reads."""
        with tf.io.gfile.GFile(path, "w") as file:
            json.dump(to_dict(self), file)


def load(path: str) -> Measured:
    """Reads what `Measured.save` wrote."""
    with tf.io.gfile.GFile(path) as file:
        return from_dict(Measured, json.load(file))


def measure(split: str, images: np.ndarray, labels: np.ndarray, num_classes: int) -> Measured:
    """Measures images, uint8 (N, size, size, 3), and their class ids, (N,)."""
    sums, squares = _sum_pixels(images) if split == TRAIN else (np.zeros(CHANNELS), np.zeros(CHANNELS))
    counts = np.bincount(labels, minlength=num_classes).tolist()
    return Measured(split, images.shape[1], tuple(counts), _integers(sums), _integers(squares))


def _sum_pixels(images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns the sums of the values of each channel, and those of their squares, (3,) each; exact."""
    sums, squares = np.zeros((2, images[0].size))
    for start in range(0, len(images), _BLOCK):
        values = images[start : start + _BLOCK].reshape(-1, images[0].size).astype(np.float32)
        sums += values.sum(axis=0)
        squares += np.einsum("ij,ij->j", values, values)
    return sums.reshape(-1, CHANNELS).sum(axis=0), squares.reshape(-1, CHANNELS).sum(axis=0)


def _integers(values: np.ndarray) -> tuple[int, ...]:
    return tuple(values.astype(np.int64).tolist())


def combine(parts: Iterable[Measured], class_names: tuple[str, ...], counts: Mapping[str, int]) -> DatasetInfo:
    """Returns the facts of the data set that the shards make up.

    Args:
        parts: the measurements of all shards.
        class_names: by class id.
        counts: images that each split must have; at least one in TRAIN.

    Raises:
        DataError: if a split has another number of images.
    """
    shards: dict[str, list[Measured]] = {split: [] for split in counts}
    for part in parts:
        shards[part.split].append(part)
    class_counts = {split: _sum(found, "class_counts", len(class_names)) for split, found in shards.items()}
    for split, expected in counts.items():
        if sum(class_counts[split]) != expected:
            raise DataError(f"split {split}: {sum(class_counts[split]):,} of its {expected:,} images were ingested")
    size = shards[TRAIN][0].image_size
    values = counts[TRAIN] * size * size * 255
    mean = np.array(_sum(shards[TRAIN], "pixel_sums", CHANNELS)) / values
    mean_square = np.array(_sum(shards[TRAIN], "pixel_squares", CHANNELS)) / (values * 255)
    return DatasetInfo(size, class_names, class_counts, _rounded(mean), _rounded(np.sqrt(mean_square - mean**2)))


def _sum(shards: Iterable[Measured], name: str, length: int) -> tuple[int, ...]:
    rows = [getattr(shard, name) for shard in shards]
    return tuple(np.sum([[0] * length, *rows], axis=0, dtype=np.int64).tolist())


def _rounded(values: np.ndarray) -> tuple[float, ...]:
    return tuple(np.round(values, _DECIMALS).tolist())
