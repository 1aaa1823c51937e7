"""From TFRecord files to batches."""

from collections.abc import Sequence

import tensorflow as tf

from shiftvit import features
from shiftvit.augment import augment
from shiftvit.config import DataConfig

SHUFFLE_BUFFER = 50_000  # records; more than the whole training split, about 150 MB


def count_records(patterns: Sequence[str]) -> int:
    """Returns how many records the files hold, checking each record's checksum."""
    return int(
        _records(patterns)
        .batch(1024)
        .reduce(tf.constant(0, tf.int64), lambda count, records: count + tf.size(records, tf.int64))
    )


def training_batches(patterns: Sequence[str], batch_size: int, config: DataConfig, seed: int) -> tf.data.Dataset:
    """Returns endless shuffled, augmented batches: images uint8 (batch_size, 32, 32, 3) and labels int64."""
    records = _records(patterns).cache().shuffle(SHUFFLE_BUFFER, seed=seed).repeat()
    batches = records.batch(batch_size, drop_remainder=True)

    def prepare(index, serialized):
        images, labels = features.parse(serialized)
        return augment(images, tf.stack([tf.cast(seed, tf.int64), index]), config), labels

    return batches.enumerate().map(prepare, num_parallel_calls=tf.data.AUTOTUNE).prefetch(tf.data.AUTOTUNE)


def evaluation_batches(patterns: Sequence[str], batch_size: int) -> tf.data.Dataset:
    """Returns every record once, in batches of at most `batch_size`, in order, as they are stored."""
    batches = _records(patterns).batch(batch_size)
    return batches.map(features.parse, num_parallel_calls=tf.data.AUTOTUNE).cache().prefetch(tf.data.AUTOTUNE)


def _records(patterns: Sequence[str]) -> tf.data.Dataset:
    files = sorted(path for pattern in patterns for path in tf.io.gfile.glob(pattern))
    return tf.data.TFRecordDataset(tf.constant(files, tf.string))
