"""The record format: names of features and splits, encoding and parsing.

A record is a tf.train.Example of IMAGE, a square image, and LABEL, the class id. Up to MAX_RAW_SIZE pixels a side, the
image is raw uint8 bytes in row-major RGB order; above, it is a JPEG of quality 95 without chroma subsampling, which
takes about a quarter of the bytes. Only the functions import TensorFlow, so the constants are cheap to import.
"""

import functools
import io
import math
import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from shiftvit.errors import ConfigError, DataError
from shiftvit.image_container import JPEG_SCAN, read_container

if TYPE_CHECKING:
    import tensorflow as tf

IMAGE = "image"
LABEL = "label"

CHANNELS = 3
MIN_SIZE, MAX_SIZE = 8, 512  # of stored images, in pixels a side
MAX_RAW_SIZE = 64

_JPEG = {"quality": 95, "subsampling": 0}  # Pillow's options: 0 is 4:4:4, which keeps coloured edges sharp
_JPEG_SHARE = 0.5  # of the raw bytes; photographs took 0.14 to 0.37 of them, random noise takes 0.8
_EXAMPLE_BYTES = 48  # more than a record has beside its image: keys, lengths and the label
_TFRECORD_FRAME = 16  # bytes per record: its length, and the checksums of length and data
_BLOCK_BYTES = 2**24  # pixels decoded at once by whoever reads a split in blocks

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


def check_size(size: int, name: str) -> None:
    """Raises ConfigError, which names the setting, unless images of this size can be stored."""
    if not MIN_SIZE <= size <= MAX_SIZE:
        raise ConfigError(f"{name}={size} must be from {MIN_SIZE} to {MAX_SIZE}, in pixels a side")


def images_at_once(size: int, most: int) -> int:
    """Returns how many images of this size to decode at once: at most `most`, and few enough for memory.

    >>> images_at_once(32, 1000), images_at_once(512, 1000)
    (1000, 21)
    """
    return min(most, max(1, _BLOCK_BYTES // math.prod(image_shape(size))))


def encode(image: np.ndarray, label: int) -> bytes:
    """Returns the serialized record of an image, uint8 (size, size, 3), and its class id; the same for the same."""
    import tensorflow as tf

    size = len(image)
    assert image.shape == image_shape(size) and image.dtype == np.uint8 and label >= 0
    content = image.tobytes() if size <= MAX_RAW_SIZE else _to_jpeg(image)
    return tf.train.Example(
        features=tf.train.Features(
            feature={
                IMAGE: tf.train.Feature(bytes_list=tf.train.BytesList(value=[content])),
                LABEL: tf.train.Feature(int64_list=tf.train.Int64List(value=[label])),
            }
        )
    ).SerializeToString(deterministic=True)


def _to_jpeg(image: np.ndarray) -> bytes:
    from PIL import Image

    file = io.BytesIO()
    Image.fromarray(image).save(file, "JPEG", **_JPEG)
    return file.getvalue()


def serialize(images: np.ndarray, labels: np.ndarray) -> list[bytes]:
    """Returns what `encode` returns for each of the images, uint8 (N, size, size, 3), and class ids, integers (N,).

    About eight times as fast for raw pixels: records of one class differ only in the bytes of the image, so each is
    joined from two constant ends.
    """
    size = images.shape[1]
    if size > MAX_RAW_SIZE:
        return [encode(image, label) for image, label in zip(images, labels.tolist(), strict=True)]
    pixels, length = memoryview(images.tobytes()), math.prod(image_shape(size))
    serialized = []
    for index, label in enumerate(labels.tolist()):
        before, after = _frame(size, label)
        serialized.append(b"".join((before, pixels[index * length : (index + 1) * length], after)))
    return serialized


@functools.cache
def _frame(size: int, label: int) -> tuple[bytes, bytes]:
    """Returns the bytes before and after the raw image in a record of class `label`."""
    marker = np.arange(math.prod(image_shape(size))).astype(np.uint8)
    before, _, after = encode(marker.reshape(image_shape(size)), label).partition(marker.tobytes())
    return before, after


def stored_bytes(size: int) -> int:
    """Returns about how many bytes an image of this size takes in a TFRecord file, rather too many than too few."""
    pixels = math.prod(image_shape(size))
    return int(pixels if size <= MAX_RAW_SIZE else _JPEG_SHARE * pixels) + _EXAMPLE_BYTES + _TFRECORD_FRAME


def feature_spec() -> dict[str, Any]:
    """Returns the specification of a record for tf.io.parse_example."""
    import tensorflow as tf

    return {IMAGE: tf.io.FixedLenFeature([], tf.string), LABEL: tf.io.FixedLenFeature([], tf.int64)}


def decode_images(stored: "tf.Tensor", size: int) -> "tf.Tensor":
    """Decodes IMAGE features, a string tensor (N,), to uint8 images (N, size, size, 3).

    Raises:
        tf.errors.InvalidArgumentError: if a value has another number of bytes, or is no JPEG of this size.
    """
    import tensorflow as tf

    if size > MAX_RAW_SIZE:
        return tf.ensure_shape(_jpeg_decoder(size)(stored), (stored.shape[0], *image_shape(size)))
    pixels = tf.io.decode_raw(stored, tf.uint8)
    return tf.reshape(pixels, (tf.shape(stored)[0], *image_shape(size)))  # with -1, two half images would pass as one


@functools.cache
def _jpeg_decoder(size: int) -> Callable[["tf.Tensor"], "tf.Tensor"]:
    """Returns a graph that decodes JPEGs of this size, several at a time even when it is called eagerly.

    A record may come from a client, so its size and its scans are checked before they cost memory or time. A wrong one
    is replaced by nothing, which cannot be decoded: an assertion would have tf.data run the batches one by one.
    """
    import tensorflow as tf

    from shiftvit.tracing import as_written, function

    def decode_one(jpeg: tf.Tensor) -> tf.Tensor:
        right = tf.reduce_all(tf.io.extract_jpeg_shape(jpeg) == image_shape(size))
        return tf.io.decode_jpeg(tf.where(right, jpeg, ""), CHANNELS, dct_method="INTEGER_ACCURATE")

    def decode(jpegs: tf.Tensor) -> tf.Tensor:
        scans = tf.strings.split(jpegs, JPEG_SCAN).row_lengths() - 1
        image = tf.TensorSpec(image_shape(size), tf.uint8)
        return tf.map_fn(as_written(decode_one), tf.where(scans == 1, jpegs, ""), fn_output_signature=image)

    return function(decode, input_signature=[tf.TensorSpec([None], tf.string)])


def record_error(serialized: bytes, size: int) -> str | None:
    """Returns what is wrong in a record of an image of this size, to follow "it holds", or None if `parse` takes it."""
    import tensorflow as tf

    try:
        parsed = tf.io.parse_single_example(serialized, feature_spec())
    except tf.errors.InvalidArgumentError:
        return "no image with a label"
    return image_error(parsed[IMAGE].numpy(), size)


def image_error(stored: bytes, size: int) -> str | None:
    """Returns what an IMAGE feature is that `decode_images` refuses, or None if it decodes it."""
    import tensorflow as tf

    try:
        decode_images(tf.constant([stored]), size)
    except tf.errors.InvalidArgumentError:
        expected = math.prod(image_shape(size))
        if size <= MAX_RAW_SIZE:
            return f"{len(stored):,} bytes, but an image has {expected:,}"
        found = _jpeg_size(stored)
        if found is None or found == (size, size):
            return f"{len(stored):,} bytes that are no JPEG, or a damaged one"
        return f"a JPEG of {found[0]} x {found[1]} pixels, but an image has {size} x {size}"
    return None


def _jpeg_size(stored: bytes) -> tuple[int, int] | None:
    """Returns the width and height in the header of a JPEG, or None if it cannot be read."""
    try:
        container = read_container(stored)
    except DataError:
        return None
    return (container.width, container.height) if container.kind == "JPEG" else None


def stored_size(serialized: bytes) -> int:
    """Returns the pixels on each side of a record's image."""
    import tensorflow as tf

    [image] = tf.train.Example.FromString(serialized).features.feature[IMAGE].bytes_list.value
    side, _ = _jpeg_size(image) or (0, 0)
    return side if side > MAX_RAW_SIZE else math.isqrt(len(image) // CHANNELS)


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
