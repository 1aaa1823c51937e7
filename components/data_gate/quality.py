"""Measures what statistics over features cannot: image sizes, exact duplicates, classes, colours and contrast.

Distances between splits are TensorFlow Data Validation's. Of each image, they compare the mean of each colour channel,
and the contrast, which is the standard deviation of all its values.
"""

import hashlib
import math
import os
from collections.abc import Iterable
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
import pandas as pd
import tensorflow as tf
import tensorflow_data_validation as tfdv
from tensorflow_metadata.proto.v0 import anomalies_pb2, schema_pb2, statistics_pb2

from shiftvit import features
from shiftvit.dataset import DatasetInfo
from shiftvit.errors import DataError
from shiftvit.record_files import matching

IMAGE_FEATURES = ("red", "green", "blue", "contrast")  # means of the channels; standard deviation

_BLOCK = 1000  # records read at once, or fewer if the images are large
_DIGEST_BYTES = 16
_SAMPLING_NOISE = 10.0  # samples of n and m images from one distribution diverge by less than this times 1/n + 1/m
_CHANCE = 0.01  # how often a split that is drawn at random may exceed the noise allowed in the shares of its classes


@dataclass(frozen=True)
class Split:
    """Measurements of each record of a split, in the order of the records."""

    name: str
    class_names: tuple[str, ...]  # of the data set, by class id
    labels: np.ndarray  # (N,)
    digests: tuple[bytes, ...]  # of the stored images; equal pixels are stored as equal bytes
    image_features: np.ndarray  # (N, len(IMAGE_FEATURES))

    @property
    def class_counts(self) -> np.ndarray:
        """Number of images by class id."""
        return np.bincount(self.labels, minlength=len(self.class_names))

    @property
    def rarest_share(self) -> float:
        """The share of the rarest class."""
        return float(self.class_counts.min() / len(self.labels))


@dataclass(frozen=True)
class Duplicate:
    """An image with the same pixels as an earlier one."""

    split: str
    position: int  # in the split, from 0
    first_split: str
    first_position: int

    def __str__(self) -> str:
        return f"{self.split} {self.position:,} is {self.first_split} {self.first_position:,}"


def read_split(folder: str, name: str, dataset: DatasetInfo) -> Split:
    """Measures the records in `folder`.

    Raises:
        DataError: at the first image that cannot be decoded or has another size than `dataset.image_size`.
    """
    size = dataset.image_size
    files = matching([os.path.join(folder, "*")])
    blocks = tf.data.TFRecordDataset(files).batch(features.images_at_once(size, _BLOCK))
    labels, image_features = [], []
    digests: list[bytes] = []
    for block in blocks.map(lambda records: tf.io.parse_example(records, features.feature_spec())).as_numpy_iterator():
        stored = block[features.IMAGE]
        image_features.append(_measure(_decode(stored, size, name, len(digests))))
        labels.append(block[features.LABEL])
        digests += [hashlib.blake2b(image, digest_size=_DIGEST_BYTES).digest() for image in stored.tolist()]
    return Split(name, dataset.class_names, np.concatenate(labels), tuple(digests), np.concatenate(image_features))


def _decode(stored: np.ndarray, size: int, split: str, start: int) -> np.ndarray:
    """Decodes the images of a block of a split, which starts at an image; returns uint8 (N, size, size, 3)."""
    try:
        return features.decode_images(tf.constant(stored), size).numpy()
    except tf.errors.InvalidArgumentError:
        for position, image in enumerate(stored.tolist(), start):
            found = features.image_error(image, size)
            if found:
                raise DataError(f"split {split}, image {position:,}: {found}; get the data again") from None
        raise


def _measure(images: np.ndarray) -> np.ndarray:
    """Returns the IMAGE_FEATURES of images, uint8 (N, size, size, 3)."""
    values = images.reshape(len(images), -1).astype(np.float32)
    means = values.reshape(len(images), -1, features.CHANNELS).mean(axis=1)
    return np.column_stack([means, values.std(axis=1)])


def find_duplicates(splits: Iterable[Split]) -> list[Duplicate]:
    """Returns every image that repeats an earlier one, of its own or an earlier split."""
    first: dict[bytes, tuple[str, int]] = {}
    found = []
    for split in splits:
        for position, digest in enumerate(split.digests):
            place = first.setdefault(digest, (split.name, position))
            if place != (split.name, position):
                found.append(Duplicate(split.name, position, *place))
    return found


def compare(reference: Split, other: Split, max_label_drift: float, max_image_drift: float) -> anomalies_pb2.Anomalies:
    """Returns the distances of `other` from `reference`, with an anomaly for each that exceeds its limit.

    Args:
        reference: the split to compare with.
        other: the split to check.
        max_label_drift: limit of the L-infinity distance between the shares of the classes.
        max_image_drift: limit of the Jensen-Shannon divergence in each of IMAGE_FEATURES. On top of both limits,
            sampling noise is allowed, which is larger in small splits.
    """
    allowed = max_image_drift + _SAMPLING_NOISE * (1 / len(reference.labels) + 1 / len(other.labels))
    schema = schema_pb2.Schema()
    label = schema.feature.add(name=features.LABEL, type=schema_pb2.BYTES)
    label.drift_comparator.infinity_norm.threshold = max_label_drift + label_noise(reference, other)
    for name in IMAGE_FEATURES:
        feature = schema.feature.add(name=name, type=schema_pb2.FLOAT)
        feature.drift_comparator.jensen_shannon_divergence.threshold = allowed
    return tfdv.validate_statistics(_statistics(other), schema, previous_statistics=_statistics(reference))


def label_noise(reference: Split, other: Split) -> float:
    """Returns by how much the share of any class differs between random splits, with a probability of 1 - _CHANCE.

    The difference of the shares p of a class in n and m images has the variance p (1 - p) (1/n + 1/m). The normal
    quantile times the largest deviation of any class bounds them all (Bonferroni).
    """
    n, m = len(reference.labels), len(other.labels)
    shares = (reference.class_counts + other.class_counts) / (n + m)
    quantile = NormalDist().inv_cdf(1 - _CHANCE / (2 * len(reference.class_names)))
    return quantile * math.sqrt(max(shares * (1 - shares)) * (1 / n + 1 / m))


def _statistics(split: Split) -> statistics_pb2.DatasetFeatureStatisticsList:
    frame = pd.DataFrame(split.image_features, columns=list(IMAGE_FEATURES))
    frame[features.LABEL] = np.array(split.class_names)[split.labels]  # categories, which messages name
    return tfdv.generate_statistics_from_dataframe(frame)


def distances(comparison: anomalies_pb2.Anomalies) -> dict[str, float]:
    """Returns the distance in each feature, from what `compare` returned."""
    return {info.path.step[0]: info.drift_measurements[0].value for info in comparison.drift_skew_info}
