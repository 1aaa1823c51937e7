"""Measures ingested records one by one, which statistics cannot: sizes, exact duplicates, classes, looks of the images.

The distance between splits is TensorFlow Data Validation's own. How an image looks is told by the means of its three
colour channels and by its contrast, the standard deviation of its values.
"""

import hashlib
import os
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import pandas as pd
import tensorflow as tf
import tensorflow_data_validation as tfdv
from tensorflow_metadata.proto.v0 import anomalies_pb2, schema_pb2

from shiftvit import features
from shiftvit.errors import DataError

LOOKS = ("red", "green", "blue", "contrast")

_BLOCK = 1000  # records read at once
_DIGEST_BYTES = 16
_SAMPLING_NOISE = 10.0  # times 1/n + 1/m: the divergence that samples of n and of m images of the same kind stay below


@dataclass(frozen=True)
class Split:
    """What was measured of each record of a split, in the order of the records."""

    name: str
    labels: np.ndarray  # (N,)
    digests: tuple[bytes, ...]  # of the pixels
    looks: np.ndarray  # (N, len(LOOKS))

    @property
    def class_counts(self) -> np.ndarray:
        """How many images each class has, by class id."""
        return np.bincount(self.labels, minlength=features.NUM_CLASSES)

    @property
    def least_class_share(self) -> tuple[float, int]:
        """The share of the rarest class, and its id."""
        counts = self.class_counts
        return counts.min() / len(self.labels), int(counts.argmin())


@dataclass(frozen=True)
class Duplicate:
    """An image that has the very pixels of an earlier one."""

    split: str
    position: int  # in the split, from 0
    first_split: str
    first_position: int

    def __str__(self) -> str:
        return f"{self.split} {self.position:,} is {self.first_split} {self.first_position:,}"


def read_split(folder: str, name: str) -> Split:
    """Measures the records in `folder`.

    Raises:
        DataError: at the first image that does not decode: stored raw, it must have just IMAGE_BYTES bytes.
    """
    files = sorted(tf.io.gfile.glob(os.path.join(folder, "*")))
    blocks = tf.data.TFRecordDataset(files).batch(_BLOCK)
    labels, digests, looks = [], [], []
    for block in blocks.map(lambda records: tf.io.parse_example(records, features.feature_spec())).as_numpy_iterator():
        images = block[features.IMAGE].tolist()
        _check_sizes(images, name, len(digests))
        labels.append(block[features.LABEL])
        digests += [hashlib.blake2b(image, digest_size=_DIGEST_BYTES).digest() for image in images]
        looks.append(_measure_looks(b"".join(images)))
    return Split(name, np.concatenate(labels), tuple(digests), np.concatenate(looks))


def _check_sizes(images: list[bytes], split: str, start: int) -> None:
    for position, image in enumerate(images, start):
        if len(image) != features.IMAGE_BYTES:
            raise DataError(
                f"split {split}, image {position:,}: {len(image):,} bytes do not decode, an image has "
                f"{features.IMAGE_BYTES:,}; get the data anew"
            )


def _measure_looks(pixels: bytes) -> np.ndarray:
    images = np.frombuffer(pixels, np.uint8).reshape(-1, features.IMAGE_BYTES).astype(np.float32)
    means = images.reshape(len(images), -1, features.IMAGE_SHAPE[-1]).mean(axis=1)
    return np.column_stack([means, images.std(axis=1)])


def find_duplicates(splits: Iterable[Split]) -> list[Duplicate]:
    """Returns every image whose pixels were there before, in its own split or in one that comes earlier in `splits`."""
    first: dict[bytes, tuple[str, int]] = {}
    found = []
    for split in splits:
        for position, digest in enumerate(split.digests):
            place = first.setdefault(digest, (split.name, position))
            if place != (split.name, position):
                found.append(Duplicate(split.name, position, *place))
    return found


def compare(reference: Split, other: Split, max_label_drift: float, max_image_drift: float) -> anomalies_pb2.Anomalies:
    """Returns how far `other` is from `reference`, with an anomaly for each distance that is too large.

    Args:
        reference: the split to compare with.
        other: the split in question.
        max_label_drift: of any class's share: the L-infinity distance.
        max_image_drift: of each of LOOKS: the Jensen-Shannon divergence, beyond what chance makes of small splits.
    """
    allowed = max_image_drift + _SAMPLING_NOISE * (1 / len(reference.labels) + 1 / len(other.labels))
    schema = schema_pb2.Schema()
    label = schema.feature.add(name=features.LABEL, type=schema_pb2.BYTES)
    label.drift_comparator.infinity_norm.threshold = max_label_drift
    for name in LOOKS:
        look = schema.feature.add(name=name, type=schema_pb2.FLOAT)
        look.drift_comparator.jensen_shannon_divergence.threshold = allowed
    return tfdv.validate_statistics(_statistics(other), schema, previous_statistics=_statistics(reference))


def _statistics(split: Split):
    frame = pd.DataFrame(split.looks, columns=list(LOOKS))
    frame[features.LABEL] = split.labels.astype(str)  # a category, not a number
    return tfdv.generate_statistics_from_dataframe(frame)


def distances(compared: anomalies_pb2.Anomalies) -> dict[str, float]:
    """Returns the distance of each feature that `compare` measured."""
    return {info.path.step[0]: info.drift_measurements[0].value for info in compared.drift_skew_info}
