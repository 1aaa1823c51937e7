"""From TFRecord files to batches."""

from collections.abc import Sequence

import tensorflow as tf

from shiftvit import features
from shiftvit.augmentation import augment
from shiftvit.config import DataConfig
from shiftvit.errors import DataError

PARSED_AT_ONCE = 1024  # examples
_CIPHER_ROUNDS = 16  # with TensorFlow's own 4, the order of an epoch half tells that of the next
_ALL = tf.distribute.InputContext()  # the share of a single worker with a single device


def count_records(patterns: Sequence[str]) -> int:
    """Returns how many records the files hold, checking each record's checksum."""
    return int(
        _records(patterns)
        .batch(1024)
        .reduce(tf.constant(0, tf.int64), lambda count, records: count + tf.size(records, tf.int64))
    )


def first_records(folder: str, count: int) -> list[bytes]:
    """Returns at most `count` serialized Examples from the beginning of a split's folder, in the order of its files.

    Raises:
        DataError: when it holds none.
    """
    records = list(_records([f"{folder}/*"]).take(count).as_numpy_iterator())
    if not records:
        raise DataError(f"{folder}: holds no records")
    return records


def training_batches(
    patterns: Sequence[str],
    batch_size: int,
    config: DataConfig,
    seed: int,
    augmented: bool = True,
    share: tf.distribute.InputContext = _ALL,
    start: int = 0,
) -> tf.data.Dataset:
    """Returns endless shuffled batches of `batch_size` examples: each a function of the seed and of its number alone.

    However many workers share them, they make the same global batches together, but for the draws of augmentation.
    That is why each reads all and keeps its part: under AutoShardPolicy.DATA a worker would get whole batches in turn.

    Args:
        patterns: of TFRecord files. They are read at once, and the examples, 3 kB each, stay in memory.
        batch_size: examples in a batch, which the devices share out evenly; none is smaller.
        config: how the images are augmented.
        seed: of the order and of the augmentation.
        augmented: whether to augment here, or leave images and labels as they are stored, for the training step to do.
        share: what of them is for this worker; each of its devices takes a batch in turn.
        start: number of the first global batch, for a training that goes on.

    Returns:
        Images, uint8 (examples of one device, 32, 32, 3), and their targets, as `augment` gives them.
    """
    images, labels = _load(patterns)
    workers, worker = share.num_input_pipelines, share.input_pipeline_id
    size = share.get_per_replica_batch_size(batch_size)

    def draw(number):
        ranks = (number * size + tf.range(size, dtype=tf.int64)) * workers + worker
        chosen = _shuffle(ranks, len(labels), seed)
        batch = tf.gather(images, chosen), tf.gather(labels, chosen)
        if not augmented:
            return batch
        drawn = number * workers + worker  # of no other batch of any worker
        return augment(*batch, tf.stack([tf.cast(seed, tf.int64), drawn]), config)

    devices = share.num_replicas_in_sync // workers
    numbers = tf.data.Dataset.counter(start * devices)  # of the batches of this worker's devices
    return numbers.map(draw, num_parallel_calls=tf.data.AUTOTUNE).prefetch(tf.data.AUTOTUNE)


def _load(patterns: Sequence[str]) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns all images, uint8 (N, 32, 32, 3), and labels, int64 (N,), in the order of the files."""
    blocks = _records(patterns).batch(PARSED_AT_ONCE).map(features.parse, num_parallel_calls=tf.data.AUTOTUNE)
    images, labels = zip(*blocks, strict=True)
    return tf.concat(images, axis=0), tf.concat(labels, axis=0)


def _shuffle(ranks, count: int, seed: int):
    """Returns which of `count` examples stand at `ranks`, int64 (N,), of the endless series of shuffled epochs."""
    epochs, places = ranks // count, ranks % count
    seeds = tf.stack([tf.fill(tf.shape(ranks), tf.cast(seed, tf.int64)), epochs, tf.zeros_like(epochs)], axis=1)
    last = tf.constant(count - 1, tf.int64)
    # tf.random.experimental.index_shuffle, which makes this op, takes no more than one seed at a time.
    return tf.raw_ops.RandomIndexShuffle(index=places, seed=seeds, max_index=last, rounds=_CIPHER_ROUNDS)


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
