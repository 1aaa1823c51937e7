"""From TFRecord files to batches."""

from collections.abc import Sequence

import tensorflow as tf

from shiftvit import features
from shiftvit.augment import augment
from shiftvit.config import DataConfig

SHUFFLE_BUFFER = 50_000  # examples; more than the whole training split
PARSED_AT_ONCE = 1024  # examples


def count_records(patterns: Sequence[str]) -> int:
    """Returns how many records the files hold, checking each record's checksum."""
    return int(
        _records(patterns)
        .batch(1024)
        .reduce(tf.constant(0, tf.int64), lambda count, records: count + tf.size(records, tf.int64))
    )


def training_batches(
    patterns: Sequence[str], batch_size: int, config: DataConfig, seed: int, augmented: bool = True
) -> tf.data.Dataset:
    """Returns endless shuffled batches of `batch_size` examples; the same ones for the same seed.

    Args:
        patterns: of TFRecord files. They are read and parsed once; the examples, 3 kB each, then stay in memory.
        batch_size: examples in a batch; none is smaller.
        config: how the images are augmented.
        seed: of the order and of the augmentation.
        augmented: whether to augment here, or leave images and labels as they are stored, for the training step to do.

    Returns:
        Images, uint8 (batch_size, 32, 32, 3), and their targets, as `augment` gives them.
    """
    # One tensor for each example, which the cache and the shuffle buffer share; nothing is copied before the batch.
    parsed = _records(patterns).batch(PARSED_AT_ONCE).map(features.parse, num_parallel_calls=tf.data.AUTOTUNE)
    examples = parsed.unbatch().cache().shuffle(SHUFFLE_BUFFER, seed=seed).repeat()
    batches = examples.batch(batch_size, drop_remainder=True)

    def augment_batch(index, batch):
        return augment(*batch, tf.stack([tf.cast(seed, tf.int64), index]), config)

    if augmented:
        batches = batches.enumerate().map(augment_batch, num_parallel_calls=tf.data.AUTOTUNE)
    return batches.prefetch(tf.data.AUTOTUNE)


def evaluation_batches(patterns: Sequence[str], batch_size: int) -> tf.data.Dataset:
    """Returns every record once, in batches of at most `batch_size`, in order, as they are stored."""
    batches = _records(patterns).batch(batch_size)
    return batches.map(features.parse, num_parallel_calls=tf.data.AUTOTUNE).cache().prefetch(tf.data.AUTOTUNE)


def _records(patterns: Sequence[str]) -> tf.data.Dataset:
    files = sorted(path for pattern in patterns for path in tf.io.gfile.glob(pattern))
    return tf.data.TFRecordDataset(tf.constant(files, tf.string))
