"""Random training data for the benchmarks; no speed depends on what the images show."""

import math
from pathlib import Path

import numpy as np
import tensorflow as tf

from shiftvit import features
from shiftvit.dataset import DatasetInfo

COUNT = 10_000  # images to train on
# Like CIFAR-10.
DATASET = DatasetInfo(32, tuple(map(str, range(10))), {}, (0.5, 0.5, 0.5), (0.25, 0.25, 0.25))
IMAGE_SHAPE = features.image_shape(DATASET.image_size)
IMAGE_BYTES = math.prod(IMAGE_SHAPE)


def random_examples(count: int) -> tuple[np.ndarray, np.ndarray]:
    """Returns images uint8 (count, 32, 32, 3) and class ids int64 (count,); the same in each call."""
    random = np.random.default_rng(0)
    images = random.integers(0, 256, (count, *IMAGE_SHAPE), np.uint8)
    return images, random.integers(0, DATASET.num_classes, count)


def random_pngs(count: int) -> list[bytes]:
    """Returns random images as PNG files; the same in each call."""
    return [tf.io.encode_png(image).numpy() for image in random_examples(count)[0]]


def write_records(folder: str) -> list[str]:
    """Writes COUNT random examples as a TFRecord file into `folder`; returns the file patterns to train on."""
    path = Path(folder, "random.tfrecord")
    with tf.io.TFRecordWriter(str(path)) as writer:
        for record in features.serialize(*random_examples(COUNT)):
            writer.write(record)
    return [str(path)]
