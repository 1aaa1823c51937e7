"""Random numbers that a seed decides: the same eagerly, in a graph and under XLA.

The generator is named, and only whole numbers are asked of it: left to choose, XLA takes another generator, and it
turns the same bits into other fractions.
"""

import contextlib
import threading
from collections.abc import Iterator

import tensorflow as tf

GENERATOR = "philox"
_STEPS = 2**24  # all that float32 tells apart in [0.5, 1)


def split(seed, count: int):
    """Returns `count` seeds, int64 (2,) each, that are independent of one another."""
    return tf.unstack(tf.random.split(tf.cast(seed, tf.int64), count, alg=GENERATOR))


def fractions(shape, seed):
    """Returns float32 numbers, uniform in [0, 1)."""
    return tf.cast(tf.random.stateless_uniform(shape, seed, 0, _STEPS, tf.int32, alg=GENERATOR), tf.float32) / _STEPS


def random_bytes(shape, seed):
    """Returns uint8 numbers, uniform, of the shape with a last dimension of 4."""
    return tf.bitcast(tf.random.stateless_uniform(shape, seed, None, None, tf.int32, alg=GENERATOR), tf.uint8)


_step = threading.local()  # each device of a strategy builds its part of the step in a thread of its own


@contextlib.contextmanager
def drawing_from(seed) -> Iterator[None]:
    """Makes the layers that are called within it draw from `seed`, int64 (2,), each numbers of its own.

    What a layer draws is then a function of the seed and of its place among the layers, and no state is to be kept.
    """
    _step.seed, _step.drawn = seed, 0
    try:
        yield
    finally:
        del _step.seed, _step.drawn


def _next_seed():
    """Returns a seed that no other layer of the step has; None outside of `drawing_from`."""
    if not hasattr(_step, "seed"):
        return None
    _step.drawn += 1
    return tf.random.experimental.stateless_fold_in(_step.seed, _step.drawn, alg=GENERATOR)


def uniform(shape):
    """Returns float32 numbers, uniform in [0, 1), for a layer: outside of `drawing_from`, TensorFlow's own."""
    seed = _next_seed()
    return tf.random.uniform(shape) if seed is None else fractions(shape, seed)


def dropout(x, rate: float):
    """Sets each value to 0 with probability `rate`, and scales the others by 1 / (1 - rate); draws as `uniform`."""
    seed = _next_seed()
    if seed is None:
        return tf.nn.dropout(x, rate)
    return tf.nn.experimental.stateless_dropout(x, rate, seed, rng_alg=GENERATOR)
