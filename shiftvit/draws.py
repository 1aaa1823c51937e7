"""Random numbers that a seed decides: the same eagerly, in a graph and under XLA.

The generator is named, and only whole numbers are asked of it: left to choose, XLA takes another generator, and it
turns the same bits into other fractions.
"""

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
