"""Records of images above 64 pixels a side, which are stored as JPEGs."""

from pathlib import Path

import numpy as np
import tensorflow as tf
from known_data import describe

from shiftvit import features
from shiftvit.dataset import DatasetInfo


def dataset(size: int = 96, classes: int = 10) -> DatasetInfo:
    """Returns the facts of such data."""
    return DatasetInfo(size, tuple(f"class {k}" for k in range(classes)), {}, (0.5,) * 3, (0.25,) * 3)


def draw(count: int, size: int = 96, classes: int = 10, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Returns images with the slow changes of photographs, no two alike, and class ids in turn."""
    weights = np.random.default_rng(seed).uniform(-60, 60, (count, 3, 3))  # of channels: level, slopes down and right
    ramp = np.linspace(0, 1, size)
    planes = np.stack(np.broadcast_arrays(1, ramp[:, None], ramp[None]), axis=-1)
    images = 128 + np.einsum("hwk,nck->nhwc", planes, weights)
    return np.clip(images, 0, 255).astype(np.uint8), np.arange(count) % classes


def write(folder, facts: DatasetInfo, **counts: int) -> Path:
    """Writes so many records of each split into the folder of an Examples artifact; returns it."""
    for seed, (split, count) in enumerate(counts.items()):
        path = Path(features.split_folder(folder, split))
        path.mkdir(parents=True)
        with tf.io.TFRecordWriter(str(path / "data_tfrecord-00000-of-00001")) as writer:
            for record in features.serialize(*draw(count, facts.image_size, facts.num_classes, seed)):
                writer.write(record)
    describe(Path(folder), facts)
    return Path(folder)
