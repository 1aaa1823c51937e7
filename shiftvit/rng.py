"""Random numbers that are a function of a seed: the same eagerly, in a graph and under XLA.

A seed is an int64 tensor (2,). All functions name the generator and derive everything from its integers. Left to
choose, XLA uses another generator, and it converts the same bits to floats differently.
"""

import contextlib
import threading
from collections.abc import Iterator, Sequence

import tensorflow as tf

GENERATOR = "philox"
_STEPS = 2**24  # the resolution of float32 in [0.5, 1)


def split(seed: tf.Tensor, count: int) -> list[tf.Tensor]:
    """Returns `count` independent seeds."""
    return tf.unstack(tf.random.split(tf.cast(seed, tf.int64), count, alg=GENERATOR))


def uniform(shape: Sequence[int | tf.Tensor], seed: tf.Tensor) -> tf.Tensor:
    """Returns float32 numbers, uniform in [0, 1)."""
    return tf.cast(tf.random.stateless_uniform(shape, seed, 0, _STEPS, tf.int32, alg=GENERATOR), tf.float32) / _STEPS


def random_bytes(shape: Sequence[int | tf.Tensor], seed: tf.Tensor) -> tf.Tensor:
    """Returns uniform uint8 numbers of shape (*shape, 4)."""
    return tf.bitcast(tf.random.stateless_uniform(shape, seed, None, None, tf.int32, alg=GENERATOR), tf.uint8)


_layers = threading.local()  # a strategy builds the step of each device in a thread of its own


@contextlib.contextmanager
def seed_layers(seed: tf.Tensor) -> Iterator[None]:
    """Makes the layers that are called in the block draw from `seed`.

    Each layer's numbers are a function of the seed and the order of the calls, so there is no state to save.
    """
    _layers.seed, _layers.calls = seed, 0
    try:
        yield
    finally:
        del _layers.seed, _layers.calls


def _next_layer_seed() -> tf.Tensor | None:
    """Returns the seed of the next call in `seed_layers`, or None outside of it."""
    if not hasattr(_layers, "seed"):
        return None
    _layers.calls += 1
    return tf.random.experimental.stateless_fold_in(_layers.seed, _layers.calls, alg=GENERATOR)


def layer_uniform(shape: Sequence[int | tf.Tensor]) -> tf.Tensor:
    """Returns float32 numbers, uniform in [0, 1), for a layer; outside of `seed_layers`, TensorFlow's own."""
    seed = _next_layer_seed()
    return tf.random.uniform(shape) if seed is None else uniform(shape, seed)


def layer_dropout(x: tf.Tensor, rate: float) -> tf.Tensor:
    """Zeroes each value with probability `rate` and scales the others by 1 / (1 - rate); seeded as `layer_uniform`."""
    seed = _next_layer_seed()
    if seed is None:
        return tf.nn.dropout(x, rate)
    return tf.nn.experimental.stateless_dropout(x, rate, seed, rng_alg=GENERATOR)
