"""Batches for training and evaluation, from TFRecord files.

The images of a split stay in memory if they take at most half of `data.memory`, because loading them holds them twice.
Otherwise the batches are streamed: read and decoded from the files as they are needed. The batches are the same either
way. What counts is the pixels, of which memory holds no JPEGs.

Each worker takes its share of every global batch, and streams nothing else; AutoShardPolicy.DATA would deal whole
batches to the workers in turn.
"""

import os
from collections.abc import Callable, Sequence

import numpy as np
import tensorflow as tf

from shiftvit import features
from shiftvit.augmentation import augment
from shiftvit.config import DataConfig, require
from shiftvit.dataset import DatasetInfo
from shiftvit.errors import DataError
from shiftvit.order import balanced, shuffled
from shiftvit.record_files import RecordFiles, matching
from shiftvit.tracing import as_written

PARSE_BATCH = 1024  # records parsed in one call
_SINGLE_DEVICE = tf.distribute.InputContext()
_COPIES = 5  # per batch prepared at once: its records, images and augmented images, one that waits, one in training
_MB = 10**6

_Examples = tuple[tf.Tensor, tf.Tensor]  # images, uint8 (N, size, size, 3), and labels, int64 (N,)
_Reader = Callable[[tf.Tensor], _Examples]


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
    """Returns endless shuffled batches by seed and index; before augmentation, any number of workers has the same.

    Args:
        patterns: of TFRecord files. Their images are loaded when this is called, if they fit into `config.memory`.
        dataset: that the records belong to.
        batch_size: of the global batch, which the devices split evenly. There are no smaller batches.
        config: of the augmentation, the memory and the balance, for which the labels of all records are read here.
        seed: of the order and the augmentation.
        augmented: augments here; otherwise images and labels come as stored, and the training step augments them.
        context: identifies this worker; its devices take its batches in turn.
        start: index of the first global batch, when training resumes.

    Returns:
        Pairs of images, uint8 (batch size per device, size, size, 3), and targets as `augment` returns them.

    Raises:
        UserError: if a file is damaged or not local, or `config.memory` is too small to stream.
    """
    workers, worker = context.num_input_pipelines, context.input_pipeline_id
    size = context.get_per_replica_batch_size(batch_size)
    count, examples, at_once = _examples(patterns, dataset, size, config.memory)
    order = balanced(_labels(patterns), seed) if config.balance else shuffled(count, seed)

    def make_batch(index: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        batch = examples(order((index * size + tf.range(size, dtype=tf.int64)) * workers + worker))
        batch_seed = tf.stack([tf.cast(seed, tf.int64), index * workers + worker])
        return augment(*batch, batch_seed, config, dataset.num_classes) if augmented else batch

    indices = tf.data.Dataset.counter(start * context.num_replicas_in_sync // workers)  # of this worker's batches
    return indices.map(as_written(make_batch), num_parallel_calls=at_once).prefetch(at_once)


def _labels(patterns: Sequence[str]) -> np.ndarray:
    """Returns the class ids of all records, int64 (N,); reads the files once, in sequence."""
    spec = {features.LABEL: features.feature_spec()[features.LABEL]}
    parse = as_written(lambda records: tf.io.parse_example(records, spec)[features.LABEL])
    blocks = _records(patterns).batch(PARSE_BATCH).map(parse)
    return np.concatenate(list(blocks.as_numpy_iterator()))


def _examples(patterns: Sequence[str], dataset: DatasetInfo, size: int, memory: int) -> tuple[int, _Reader, int]:
    """Returns the number of records, a function from the numbers of some to their examples, and `_batches_at_once`."""
    records = RecordFiles(patterns)
    at_once = _batches_at_once(len(records), size, dataset.image_bytes, memory)
    loaded = at_once == tf.data.AUTOTUNE
    reader = _loaded(patterns, dataset.image_size) if loaded else _streamed(records, dataset.image_size)
    return len(records), reader, at_once


def _batches_at_once(count: int, size: int, image_bytes: int, memory: int) -> int:
    """Returns how many batches to prepare at once, and how many may wait: AUTOTUNE if the images stay in memory.

    Args:
        count: number of images of the split.
        size: number of images in a batch.
        image_bytes: of one image.
        memory: for the images, in MB.

    Raises:
        ConfigError: if the memory does not hold a batch at each stage.
    """
    if 2 * count * image_bytes <= memory * _MB:
        return tf.data.AUTOTUNE
    needed = _COPIES * size * image_bytes
    require(
        needed <= memory * _MB,
        f"data.memory={memory} is too small to stream batches of {size} images: set at least {-(-needed // _MB)}",
    )
    return min(memory * _MB // needed, os.cpu_count() or 1)


def _loaded(patterns: Sequence[str], size: int) -> _Reader:
    """Loads all records; returns a function from the numbers of some to their examples."""
    blocks = _parsed(_records(patterns).batch(features.images_at_once(size, PARSE_BATCH)), size)
    images, labels = (tf.concat(parts, axis=0) for parts in zip(*blocks, strict=True))
    return lambda numbers: (tf.gather(images, numbers), tf.gather(labels, numbers))


def _streamed(records: RecordFiles, size: int) -> _Reader:
    """Returns a function from the numbers of some records to their examples, read from the files."""

    def examples(numbers: tf.Tensor) -> _Examples:
        read = tf.numpy_function(records.read, [numbers], tf.string, stateful=False)  # stateful ones run one by one
        return features.parse(tf.ensure_shape(read, numbers.shape), size)

    return examples


def evaluation_batches(
    patterns: Sequence[str],
    dataset: DatasetInfo,
    batch_size: int,
    context: tf.distribute.InputContext = _SINGLE_DEVICE,
    memory: int = DataConfig.memory,
) -> tf.data.Dataset:
    """Returns this worker's shard of the records once, as stored, in global batches of at most `batch_size`.

    The images stay in memory after the first evaluation if they fit into `memory`, in MB.
    """
    shard = _records(patterns).shard(context.num_input_pipelines, context.input_pipeline_id)
    size = context.get_per_replica_batch_size(batch_size)
    at_once = _batches_at_once(len(RecordFiles(patterns)), size, dataset.image_bytes, memory)
    batches = _parsed(shard.batch(size), dataset.image_size, at_once)
    return (batches.cache() if at_once == tf.data.AUTOTUNE else batches).prefetch(at_once)


def _parsed(batches: tf.data.Dataset, size: int, at_once: int = tf.data.AUTOTUNE) -> tf.data.Dataset:
    return batches.map(as_written(lambda records: features.parse(records, size)), num_parallel_calls=at_once)


def _records(patterns: Sequence[str]) -> tf.data.Dataset:
    return tf.data.TFRecordDataset(tf.constant(matching(patterns), tf.string))
