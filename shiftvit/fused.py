"""The parts of a block that are not matrix products, as plain TensorFlow and as fused by XLA.

TensorFlow runs such a part as five to fifteen operations, each of which reads and writes the whole feature map; on a
CPU they cost as much as the matrix products. XLA does it in one pass, forward and backward. Matrix products and sums
over the batch stay out of XLA: TensorFlow's own kernels are several times faster at them on a CPU.

The fused functions save only their inputs for the backward pass and recompute the rest. They are for training only:
exported models use the plain functions, so that serving them needs no XLA.
"""

import functools
import math
from collections.abc import Callable

import tensorflow as tf

from shiftvit.tracing import compiled

NORM_EPSILON = 1e-5

Gradient = Callable[[tf.Tensor], tuple[tf.Tensor, ...]]  # from the gradient of the output to those of the inputs


def gelu(x: tf.Tensor) -> tf.Tensor:
    """Returns x times the normal distribution function of x, by `erf`.

    On the current stack `tf.nn.gelu` takes `erfc`, which costs more, and which the classic one cannot turn into TFLite.
    """
    return 0.5 * x * (1.0 + tf.math.erf(x / tf.cast(math.sqrt(2), x.dtype)))


ACTIVATIONS = {"gelu": gelu, "silu": tf.nn.silu, "relu": tf.nn.relu}


def group_norm(x: tf.Tensor, gamma: tf.Tensor, beta: tf.Tensor) -> tf.Tensor:
    """Normalises each image over height, width and channels.

    It computes in float32, and the variance in a second pass, for accuracy.

    Args:
        x: (N, H, W, C).
        gamma: scale, float32 (C,).
        beta: offset, float32 (C,).

    Returns:
        (N, H, W, C) in the type of x.
    """
    values = tf.cast(x, tf.float32)
    mean = _image_mean(values)
    variance = _image_mean(tf.square(values - mean))
    scale = gamma * tf.math.rsqrt(variance + NORM_EPSILON)
    return tf.cast(values * scale + (beta - mean * scale), x.dtype)


def _image_mean(values: tf.Tensor) -> tf.Tensor:
    """Returns the mean of each image, (N, 1, 1, 1); by channel first, which XLA vectorises."""
    by_channel = tf.reduce_mean(values, axis=(1, 2), keepdims=True)
    return tf.reduce_mean(by_channel, axis=3, keepdims=True)


def bias_activation(x: tf.Tensor, bias: tf.Tensor, activation: str) -> tf.Tensor:
    """Returns activation(x + bias) for x (rows, C) and bias (C,), computed in float32, in the type of x."""
    biased = tf.cast(x, tf.float32) + tf.cast(bias, tf.float32)
    return tf.cast(ACTIVATIONS[activation](biased), x.dtype)


@tf.custom_gradient
def fused_group_norm(x: tf.Tensor, gamma: tf.Tensor, beta: tf.Tensor) -> tuple[tf.Tensor, Gradient]:
    """`group_norm` in one pass forward and one backward."""

    def gradient(upstream: tf.Tensor) -> tuple[tf.Tensor, ...]:
        return _group_norm_backward(x, gamma, beta, upstream)

    return _group_norm_forward(x, gamma, beta), gradient


_group_norm_forward = compiled(group_norm)


@compiled
def _group_norm_backward(x: tf.Tensor, gamma: tf.Tensor, beta: tf.Tensor, upstream: tf.Tensor) -> tuple[tf.Tensor, ...]:
    with tf.GradientTape() as tape:
        tape.watch((x, gamma, beta))
        y = group_norm(x, gamma, beta)
    return tape.gradient(y, (x, gamma, beta), upstream)


def fused_bias_activation(x: tf.Tensor, bias: tf.Tensor, activation: str) -> tf.Tensor:
    """`bias_activation` in one pass forward and one backward."""
    return _fused_bias_activation(activation)(x, bias)


@functools.cache
def _fused_bias_activation(activation: str) -> Callable[[tf.Tensor, tf.Tensor], tf.Tensor]:
    forward = compiled(functools.partial(bias_activation, activation=activation))

    @compiled
    def backward(x: tf.Tensor, bias: tf.Tensor, upstream: tf.Tensor) -> tf.Tensor:
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = bias_activation(x, bias, activation)
        return tape.gradient(y, x, upstream)

    @tf.custom_gradient
    def run(x: tf.Tensor, bias: tf.Tensor) -> tuple[tf.Tensor, Gradient]:
        def gradient(upstream: tf.Tensor) -> tuple[tf.Tensor, ...]:
            to_x = backward(x, bias, upstream)
            return to_x, column_sums(to_x)

        return forward(x, bias), gradient

    return run


def column_sums(x: tf.Tensor) -> tf.Tensor:
    """Returns the sums (C,) over the rows of x (rows, C), by a matrix product: most processors add in float32."""
    ones = tf.ones((1, tf.shape(x)[0]), x.dtype)
    return tf.squeeze(tf.matmul(ones, x), axis=0)
