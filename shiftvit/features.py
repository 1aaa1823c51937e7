"""The record format of the data set: names, shapes, classes and splits.

A record is a tf.train.Example of IMAGE, the 32 x 32 x 3 pixels as raw uint8 bytes in row-major RGB order, and LABEL,
the class id. Only the functions import TensorFlow, so the constants are cheap to import.
"""

import os
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import tensorflow as tf

IMAGE = "image"
LABEL = "label"

IMAGE_SHAPE = (32, 32, 3)  # height, width, channels
IMAGE_BYTES = 32 * 32 * 3

CLASS_NAMES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
NUM_CLASSES = len(CLASS_NAMES)
CLASS_NAMES_FILE = "class_names.json"  # beside the split folders: the class names of the source, by class id

TRAIN, EVAL, TEST = SPLITS = ("train", "eval", "test")


def split_folder(examples: str | os.PathLike, split: str) -> str:
    """Returns the folder of a split in an Examples artifact, in TFX's layout.

    >>> split_folder("examples", TRAIN)
    'examples/Split-train'
    """
    return f"{os.fspath(examples)}/Split-{split}"


def encode(image: np.ndarray, label: int) -> bytes:
    """Returns the serialized record of an image, uint8 of IMAGE_SHAPE, and its class id."""
    import tensorflow as tf

    assert image.shape == IMAGE_SHAPE and image.dtype == np.uint8 and 0 <= label < NUM_CLASSES
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


def decode_images(raw: "tf.Tensor") -> "tf.Tensor":
    """Decodes IMAGE features, a string tensor (N,), to uint8 images (N, 32, 32, 3).

    Raises:
        tf.errors.InvalidArgumentError: if a value does not have IMAGE_BYTES bytes.
    """
    import tensorflow as tf

    pixels = tf.io.decode_raw(raw, tf.uint8)
    return tf.reshape(pixels, (tf.shape(raw)[0], *IMAGE_SHAPE))  # with -1, two half images would pass as one


def parse(serialized: "tf.Tensor") -> tuple["tf.Tensor", "tf.Tensor"]:
    """Parses serialized records, a string tensor (N,), to images, uint8 (N, 32, 32, 3), and class ids, int64 (N,)."""
    import tensorflow as tf

    parsed = tf.io.parse_example(serialized, feature_spec())
    return decode_images(parsed[IMAGE]), parsed[LABEL]
