"""From TFRecord files to batches."""

from collections.abc import Sequence

import tensorflow as tf

from shiftvit import features
from shiftvit.augment import augment
from shiftvit.config import DataConfig

SHUFFLE_BUFFER = 50_000  # examples; more than the whole training split
PARSED_AT_ONCE = 1024  # examples
_ALL = tf.distribute.InputContext()  # the share of a single worker with a single device


def count_records(patterns: Sequence[str]) -> int:
    """Returns how many records the files hold, checking each record's checksum."""
    return int(
        _records(patterns)
        .batch(1024)
        .reduce(tf.constant(0, tf.int64), lambda count, records: count + tf.size(records, tf.int64))
    )


def training_batches(
    patterns: Sequence[str],
    batch_size: int,
    config: DataConfig,
    seed: int,
    augmented: bool = True,
    share: tf.distribute.InputContext = _ALL,
) -> tf.data.Dataset:
    """Returns endless shuffled batches of `batch_size` examples; the same ones for the same seed.

    However many workers share them, they make the same global batches together, but for the draws of augmentation.
    That is why each reads all and keeps its part: under AutoShardPolicy.DATA a worker would get whole batches in turn.

    Args:
        patterns: of TFRecord files. They are read and parsed once; the examples, 3 kB each, then stay in memory.
        batch_size: examples in a batch, which the devices share out evenly; none is smaller.
        config: how the images are augmented.
        seed: of the order and of the augmentation.
        augmented: whether to augment here, or leave images and labels as they are stored, for the training step to do.
        share: what of them is for this worker; each of its devices takes a batch in turn.

    Returns:
        Images, uint8 (examples of one device, 32, 32, 3), and their targets, as `augment` gives them.
    """
    # One tensor for each example, which the cache and the shuffle buffer share; nothing is copied before the batch.
    parsed = _records(patterns).batch(PARSED_AT_ONCE).map(features.parse, num_parallel_calls=tf.data.AUTOTUNE)
    examples = _part(parsed.unbatch().cache().shuffle(SHUFFLE_BUFFER, seed=seed).repeat(), share)
    batches = examples.batch(share.get_per_replica_batch_size(batch_size), drop_remainder=True)

    def augment_batch(index, batch):
        drawn = index * share.num_input_pipelines + share.input_pipeline_id  # of no other batch of any worker
        return augment(*batch, tf.stack([tf.cast(seed, tf.int64), drawn]), config)

    if augmented:
        batches = batches.enumerate().map(augment_batch, num_parallel_calls=tf.data.AUTOTUNE)
    return batches.prefetch(tf.data.AUTOTUNE)


def evaluation_batches(
    patterns: Sequence[str], batch_size: int, share: tf.distribute.InputContext = _ALL
) -> tf.data.Dataset:
    """Returns every record of the `share` once, in batches of at most `batch_size` over all devices, as stored."""
    batches = _part(_records(patterns), share).batch(share.get_per_replica_batch_size(batch_size))
    return batches.map(features.parse, num_parallel_calls=tf.data.AUTOTUNE).cache().prefetch(tf.data.AUTOTUNE)


def _part(examples: tf.data.Dataset, share: tf.distribute.InputContext) -> tf.data.Dataset:
    return examples.shard(share.num_input_pipelines, share.input_pipeline_id)


def _records(patterns: Sequence[str]) -> tf.data.Dataset:
    files = sorted(path for pattern in patterns for path in tf.io.gfile.glob(pattern))
    return tf.data.TFRecordDataset(tf.constant(files, tf.string))
