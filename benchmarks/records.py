"""Random training data for the benchmarks; no speed depends on what the images show."""

from pathlib import Path

import numpy as np
import tensorflow as tf

from shiftvit import features

COUNT = 10_000  # images to train on


def random_examples(count: int) -> tuple[np.ndarray, np.ndarray]:
    """Returns images uint8 (count, 32, 32, 3) and class ids int64 (count,); the same in each call."""
    random = np.random.default_rng(0)
    images = random.integers(0, 256, (count, *features.IMAGE_SHAPE), np.uint8)
    return images, random.integers(0, features.NUM_CLASSES, count)


def random_pngs(count: int) -> list[bytes]:
    """Returns random images as PNG files; the same in each call."""
    return [tf.io.encode_png(image).numpy() for image in random_examples(count)[0]]


def write_records(folder: str) -> list[str]:
    """Writes COUNT random examples as a TFRecord file into `folder`; returns the file patterns to train on."""
    path = Path(folder, "random.tfrecord")
    with tf.io.TFRecordWriter(str(path)) as writer:
        for image, label in zip(*random_examples(COUNT), strict=True):
            writer.write(features.encode(image, int(label)))
    return [str(path)]
