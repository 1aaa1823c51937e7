"""The record format: names of features and splits, encoding and parsing.

A record is a tf.train.Example of IMAGE, the pixels of a square image as raw uint8 bytes in row-major RGB order, and
LABEL, the class id. Only the functions import TensorFlow, so the constants are cheap to import.
"""

import math
import os
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import tensorflow as tf

IMAGE = "image"
LABEL = "label"

CHANNELS = 3

TRAIN, EVAL, TEST = SPLITS = ("train", "eval", "test")


def split_folder(examples: str | os.PathLike, split: str) -> str:
    """Returns the folder of a split in an Examples artifact, in TFX's layout.

    >>> split_folder("examples", TRAIN)
    'examples/Split-train'
    """
    return f"{os.fspath(examples)}/Split-{split}"


def image_shape(size: int) -> tuple[int, int, int]:
    """Returns the shape of an image with `size` pixels on each side: height, width, channels."""
    return size, size, CHANNELS


def encode(image: np.ndarray, label: int) -> bytes:
    """Returns the serialized record of an image, uint8 (size, size, 3), and its class id."""
    import tensorflow as tf

    size = len(image)
    assert image.shape == image_shape(size) and image.dtype == np.uint8 and label >= 0
    return tf.train.Example(
        features=tf.train.Features(
            feature={
                IMAGE: tf.train.Feature(bytes_list=tf.train.BytesList(value=[image.tobytes()])),
                LABEL: tf.train.Feature(int64_list=tf.train.Int64List(value=[label])),
            }
        )
    ).SerializeToString(deterministic=True)


def feature_spec() -> dict[str, Any]:
    """Returns the specification of a record for tf.io.parse_example."""
    import tensorflow as tf

    return {IMAGE: tf.io.FixedLenFeature([], tf.string), LABEL: tf.io.FixedLenFeature([], tf.int64)}


def decode_images(raw: "tf.Tensor", size: int) -> "tf.Tensor":
    """Decodes IMAGE features, a string tensor (N,), to uint8 images (N, size, size, 3).

    Raises:
        tf.errors.InvalidArgumentError: if a value has another number of bytes.
    """
    import tensorflow as tf

    pixels = tf.io.decode_raw(raw, tf.uint8)
    return tf.reshape(pixels, (tf.shape(raw)[0], *image_shape(size)))  # with -1, two half images would pass as one


def stored_size(serialized: bytes) -> int:
    """Returns the pixels on each side of a record's image."""
    import tensorflow as tf

    [image] = tf.train.Example.FromString(serialized).features.feature[IMAGE].bytes_list.value
    return math.isqrt(len(image) // CHANNELS)


def parse(serialized: "tf.Tensor", size: int) -> tuple["tf.Tensor", "tf.Tensor"]:
    """Parses serialized records, a string tensor (N,), to images and class ids.

    Args:
        serialized: the records.
        size: pixels on each side of their images.

    Returns:
        Images, uint8 (N, size, size, 3), and class ids, int64 (N,).
    """
    import tensorflow as tf

    parsed = tf.io.parse_example(serialized, feature_spec())
    return decode_images(parsed[IMAGE], size), parsed[LABEL]
