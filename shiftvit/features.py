"""The record format: feature names, shapes, classes and splits. The one owner of what a stored Example looks like.

An Example holds IMAGE, the 32 x 32 x 3 pixels as raw uint8 bytes in row-major RGB order, and LABEL, the class id.
Imports TensorFlow only where a tensor is made, so that the names are cheap to have.
"""

import os

import numpy as np

IMAGE = "image"
LABEL = "label"

IMAGE_SHAPE = (32, 32, 3)  # height, width, channels
IMAGE_BYTES = 32 * 32 * 3

CLASS_NAMES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
NUM_CLASSES = len(CLASS_NAMES)
CLASS_NAMES_FILE = "class_names.json"  # beside the folders of the splits: the source's own names, by class id

# What an image file that is to be classified may have, lest a small one take all memory or forever to decode.
MAX_FILE_PIXELS = 32_000_000  # 100 MB when decoded
MAX_FILE_SCANS = 100  # of a JPEG; a progressive one has about ten
JPEG_SCAN = b"\xff\xda"  # a scan starts so; it does not occur within one

TRAIN, EVAL, TEST = SPLITS = ("train", "eval", "test")


def split_folder(examples: str | os.PathLike, split: str) -> str:
    """Returns the folder of a split in an Examples artifact, in TFX's layout."""
    return f"{os.fspath(examples)}/Split-{split}"


def encode(image: np.ndarray, label: int) -> bytes:
    """Returns the serialized Example of one image, uint8 of IMAGE_SHAPE, and its class id."""
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


def feature_spec() -> dict:
    """Returns the parsing specification of an Example, for tf.io.parse_example."""
    import tensorflow as tf

    return {IMAGE: tf.io.FixedLenFeature([], tf.string), LABEL: tf.io.FixedLenFeature([], tf.int64)}


def decode_images(raw):
    """Returns uint8 images (N, 32, 32, 3) from a string tensor (N,) of IMAGE features.

    Raises:
        tf.errors.InvalidArgumentError: when a value does not hold IMAGE_BYTES bytes.
    """
    import tensorflow as tf

    pixels = tf.io.decode_raw(raw, tf.uint8)
    return tf.reshape(pixels, (tf.shape(raw)[0], *IMAGE_SHAPE))  # with -1, two halves would make an image


def parse(serialized):
    """Returns (images (N, 32, 32, 3) uint8, labels (N,) int64) from a string tensor (N,) of Examples."""
    import tensorflow as tf

    parsed = tf.io.parse_example(serialized, feature_spec())
    return decode_images(parsed[IMAGE]), parsed[LABEL]
