"""The endless order in which training draws the records of a split: a function of the seed and the position."""

from collections.abc import Callable

import numpy as np
import tensorflow as tf

Order = Callable[[tf.Tensor], tf.Tensor]  # from positions, int64 (N,), to the numbers of the records, int64 (N,)

_ROUNDS = 16  # of the cipher; with TensorFlow's default of 4, consecutive epochs have correlated orders


def shuffled(count: int, seed: int) -> Order:
    """Returns an order in which each epoch of `count` positions has every record once."""

    def order(positions: tf.Tensor) -> tf.Tensor:
        epochs, places = positions // count, positions % count
        return _permute(places, tf.constant(count - 1, tf.int64), seed, epochs, tf.zeros_like(epochs))

    return order


def balanced(labels: np.ndarray, seed: int) -> Order:
    """Returns an order that has every class equally often, and the records of a class equally often.

    A round has as many places for each class as the commonest class has records, in shuffled order. A class fills its
    places from an endless order of its own records, which continues from round to round. Classes without records have
    no places.

    Args:
        labels: class ids of the records, int64 (N,).
        seed: of the order.
    """
    counts = np.unique(labels, return_counts=True)[1]
    most, sizes, starts = counts.max(), tf.constant(counts), tf.constant(np.cumsum(counts) - counts)
    by_class = tf.constant(np.argsort(labels, kind="stable"))

    def order(positions: tf.Tensor) -> tf.Tensor:
        rounds, places = positions // (most * len(counts)), positions % (most * len(counts))
        places = _permute(places, tf.constant(most * len(counts) - 1), seed, rounds, tf.zeros_like(rounds))
        classes, drawn = places // most, rounds * most + places % most  # how many records of the class came before
        size = tf.gather(sizes, classes)
        members = _permute(drawn % size, size - 1, seed, drawn // size, 1 + classes)
        return tf.gather(by_class, tf.gather(starts, classes) + members)

    return order


def _permute(index: tf.Tensor, last: tf.Tensor, seed: int, epochs: tf.Tensor, streams: tf.Tensor) -> tf.Tensor:
    """Returns what indices become under random permutations of 0 to `last`, int64 (N,).

    Args:
        index: int64 (N,).
        last: greatest index, int64, one for all or (N,).
        seed: of all permutations.
        epochs: a different permutation for each, int64 (N,).
        streams: the same, for independent sequences of epochs.
    """
    seeds = tf.stack([tf.fill(tf.shape(index), tf.cast(seed, tf.int64)), epochs, streams], axis=1)
    # The public tf.random.experimental.index_shuffle takes one seed for all indices; the op takes one for each.
    return tf.raw_ops.RandomIndexShuffle(index=index, seed=seeds, max_index=last, rounds=_ROUNDS)
