"""Batches for training and evaluation, from TFRecord files."""

from collections.abc import Sequence

import tensorflow as tf

from shiftvit import features
from shiftvit.augmentation import augment
from shiftvit.config import DataConfig
from shiftvit.dataset import DatasetInfo
from shiftvit.errors import DataError
from shiftvit.tracing import as_written

PARSE_BATCH = 1024  # records parsed in one call
_SHUFFLE_ROUNDS = 16  # of the cipher; with TensorFlow's default of 4, consecutive epochs have correlated orders
_SINGLE_DEVICE = tf.distribute.InputContext()


def count_records(patterns: Sequence[str]) -> int:
    """Returns the number of records in the files; reads them all, and so verifies their checksums."""
    batches = _records(patterns).batch(PARSE_BATCH)
    add_size = as_written(lambda count, batch: count + tf.size(batch, tf.int64))
    return int(batches.reduce(tf.constant(0, tf.int64), add_size))


def first_records(folder: str, count: int = -1) -> list[bytes]:
    """Returns the first `count` serialized records of a split's folder, or all if there are fewer or it is -1.

    Raises:
        DataError: if there are none.
    """
    records = list(_records([f"{folder}/*"]).take(count).as_numpy_iterator())
    if not records:
        raise DataError(f"{folder}: holds no records")
    return records


def training_batches(
    patterns: Sequence[str],
    dataset: DatasetInfo,
    batch_size: int,
    config: DataConfig,
    seed: int,
    augmented: bool = True,
    context: tf.distribute.InputContext = _SINGLE_DEVICE,
    start: int = 0,
) -> tf.data.Dataset:
    """Returns endless shuffled batches; each is a function of the seed and its index only.

    Every worker reads all records and picks its own, so only the augmentation depends on their number.

    Args:
        patterns: of TFRecord files. All are read when this is called, and the images stay in memory.
        dataset: that the records belong to.
        batch_size: of the global batch, which the devices split evenly. There are no smaller batches.
        config: of the augmentation.
        seed: of the order and the augmentation.
        augmented: augments here; otherwise images and labels come as stored, and the training step augments them.
        context: identifies this worker; its devices take its batches in turn.
        start: index of the first global batch, when training resumes.

    Returns:
        Pairs of images, uint8 (batch size per device, size, size, 3), and targets as `augment` returns them.
    """
    images, labels = _load(patterns, dataset.image_size)
    workers, worker = context.num_input_pipelines, context.input_pipeline_id
    size = context.get_per_replica_batch_size(batch_size)

    def make_batch(index: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        ranks = (index * size + tf.range(size, dtype=tf.int64)) * workers + worker
        chosen = _shuffle(ranks, len(labels), seed)
        batch = tf.gather(images, chosen), tf.gather(labels, chosen)
        batch_seed = tf.stack([tf.cast(seed, tf.int64), index * workers + worker])
        return augment(*batch, batch_seed, config, dataset.num_classes) if augmented else batch

    indices = tf.data.Dataset.counter(start * (context.num_replicas_in_sync // workers))  # of this worker's batches
    return indices.map(as_written(make_batch), num_parallel_calls=tf.data.AUTOTUNE).prefetch(tf.data.AUTOTUNE)


def _load(patterns: Sequence[str], size: int) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns all images, uint8 (N, size, size, 3), and labels, int64 (N,), in the order of the files."""
    blocks = _parsed(_records(patterns).batch(PARSE_BATCH), size)
    images, labels = zip(*blocks, strict=True)
    return tf.concat(images, axis=0), tf.concat(labels, axis=0)


def _shuffle(ranks: tf.Tensor, count: int, seed: int) -> tf.Tensor:
    """Returns the indices of the examples, int64 (N,), at some positions of an endless sequence of shuffled epochs.

    Args:
        ranks: the positions, int64 (N,).
        count: examples in an epoch.
        seed: of the order.
    """
    epochs, places = ranks // count, ranks % count
    seeds = tf.stack([tf.fill(tf.shape(ranks), tf.cast(seed, tf.int64)), epochs, tf.zeros_like(epochs)], axis=1)
    last = tf.constant(count - 1, tf.int64)
    # The public tf.random.experimental.index_shuffle takes one seed for all indices; the op takes one for each.
    return tf.raw_ops.RandomIndexShuffle(index=places, seed=seeds, max_index=last, rounds=_SHUFFLE_ROUNDS)


def evaluation_batches(
    patterns: Sequence[str],
    dataset: DatasetInfo,
    batch_size: int,
    context: tf.distribute.InputContext = _SINGLE_DEVICE,
) -> tf.data.Dataset:
    """Returns this worker's shard of the records once, as stored, in global batches of at most `batch_size`."""
    shard = _records(patterns).shard(context.num_input_pipelines, context.input_pipeline_id)
    batches = shard.batch(context.get_per_replica_batch_size(batch_size))
    return _parsed(batches, dataset.image_size).cache().prefetch(tf.data.AUTOTUNE)


def _parsed(batches: tf.data.Dataset, size: int) -> tf.data.Dataset:
    return batches.map(as_written(lambda records: features.parse(records, size)), num_parallel_calls=tf.data.AUTOTUNE)


def _records(patterns: Sequence[str]) -> tf.data.Dataset:
    files = sorted(path for pattern in patterns for path in tf.io.gfile.glob(pattern))
    return tf.data.TFRecordDataset(tf.constant(files, tf.string))
