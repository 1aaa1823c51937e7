"""The binary record format of CIFAR-10, in which every source is prepared. No Beam.

A record is one label byte and IMAGE_BYTES bytes: all red values of the image in row-major order, then all green, then
all blue (https://www.cs.toronto.edu/~kriz/cifar.html, "Binary version").
"""

import math
import os

import numpy as np

from shiftvit.errors import DataError
from shiftvit.features import image_shape

IMAGE_SIZE = 32  # pixels on each side
IMAGE_SHAPE = image_shape(IMAGE_SIZE)
IMAGE_BYTES = math.prod(IMAGE_SHAPE)
RECORD_BYTES = 1 + IMAGE_BYTES

_HEIGHT, _WIDTH, _CHANNELS = IMAGE_SHAPE


def split_file(folder: str | os.PathLike, split: str) -> str:
    """Returns the path of the file with a split's records in the folder of a prepared source."""
    return f"{os.fspath(folder)}/{split}.bin"


def unpack(block: bytes, num_classes: int, file: str, offset: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Returns the images, uint8 (N, 32, 32, 3), and labels, uint8 (N,), of a block of whole records.

    Args:
        block: the bytes of N records.
        num_classes: of the data.
        file: file that the block comes from, for the error message.
        offset: position of the block in that file, in bytes.

    Raises:
        DataError: if the block ends inside a record or a label is no class id.
    """
    check(block, num_classes, file, offset)
    records = np.frombuffer(block, np.uint8).reshape(-1, RECORD_BYTES)
    planes = records[:, 1:].reshape(-1, _CHANNELS, _HEIGHT, _WIDTH)
    return np.ascontiguousarray(planes.transpose(0, 2, 3, 1)), records[:, 0].copy()


def check(block: bytes, num_classes: int, file: str, offset: int = 0) -> None:
    """Raises DataError, with file and byte offset, unless `block` consists of whole records with valid labels."""
    excess = len(block) % RECORD_BYTES
    if excess:
        raise DataError(
            f"{file}: cut inside the record at byte {offset + len(block) - excess}: "
            f"{excess} of its {RECORD_BYTES} bytes are there; download the file again"
        )
    labels = np.frombuffer(block, np.uint8)[::RECORD_BYTES]
    wrong = np.flatnonzero(labels >= num_classes)
    if wrong.size:
        raise DataError(
            f"{file}: label {labels[wrong[0]]} at byte {offset + wrong[0] * RECORD_BYTES}; "
            f"labels are 0 to {num_classes - 1}"
        )


def pack(images: np.ndarray, labels: np.ndarray) -> bytes:
    """Returns the records of images, uint8 (N, 32, 32, 3), and their class ids (N,). The inverse of `unpack`."""
    assert images.shape[1:] == IMAGE_SHAPE and images.dtype == np.uint8 and len(images) == len(labels)
    return pack_planes(images.transpose(0, 3, 1, 2).reshape(len(images), IMAGE_BYTES), labels)


def pack_planes(planes: np.ndarray, labels: np.ndarray) -> bytes:
    """Returns the records of channel-planar images, uint8 (N, 3072), and their class ids (N,)."""
    return np.concatenate([np.asarray(labels, np.uint8)[:, None], planes], axis=1).tobytes()
