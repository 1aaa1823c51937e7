"""The parts of a block that are not matrix products, as plain TensorFlow and as fused by XLA.

TensorFlow runs such a part as five to fifteen operations, each of which reads and writes the whole map: on a CPU they
cost as much as the matrix products. XLA makes one pass of them, forward and backward. It does not get the products,
nor sums over the whole batch, which TensorFlow's own kernels do several times faster on a CPU.

The fused functions keep only their inputs for the backward pass, and compute the rest again. They are for training;
an exported model is plain, so that what serves it needs no XLA.
"""

import functools

import tensorflow as tf

NORM_EPSILON = 1e-5
ACTIVATIONS = {"gelu": tf.nn.gelu, "silu": tf.nn.silu, "relu": tf.nn.relu}


def group_norm(x, gamma, beta):
    """Normalises each image of x (N, H, W, C) over all its values; gamma and beta are float32 (C,).

    Computes in float32, the variance in a second pass over what is then in the cache; returns the type of x.
    """
    values = tf.cast(x, tf.float32)
    mean = _image_mean(values)
    variance = _image_mean(tf.square(values - mean))
    scale = gamma * tf.math.rsqrt(variance + NORM_EPSILON)
    return tf.cast(values * scale + (beta - mean * scale), x.dtype)


def _image_mean(values):
    """Returns (N, 1, 1, 1). Channel by channel first, which XLA does with vector instructions."""
    by_channel = tf.reduce_mean(values, axis=(1, 2), keepdims=True)
    return tf.reduce_mean(by_channel, axis=3, keepdims=True)


def bias_activation(x, bias, activation: str):
    """Returns activation(x + bias) for x (rows, C) and bias (C,), computed in float32, in the type of x."""
    biased = tf.cast(x, tf.float32) + tf.cast(bias, tf.float32)
    return tf.cast(ACTIVATIONS[activation](biased), x.dtype)


@tf.custom_gradient
def fused_group_norm(x, gamma, beta):
    """`group_norm` in one pass forward and one backward."""

    def gradient(upstream):
        return _group_norm_backward(x, gamma, beta, upstream)

    return _group_norm_forward(x, gamma, beta), gradient


_group_norm_forward = tf.function(group_norm, jit_compile=True)


@tf.function(jit_compile=True)
def _group_norm_backward(x, gamma, beta, upstream):
    with tf.GradientTape() as tape:
        tape.watch((x, gamma, beta))
        y = group_norm(x, gamma, beta)
    return tape.gradient(y, (x, gamma, beta), upstream)


def fused_bias_activation(x, bias, activation: str):
    """`bias_activation` in one pass forward and one backward."""
    return _fused_bias_activation(activation)(x, bias)


@functools.cache
def _fused_bias_activation(activation: str):
    forward = tf.function(functools.partial(bias_activation, activation=activation), jit_compile=True)

    @tf.function(jit_compile=True)
    def backward(x, bias, upstream):
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = bias_activation(x, bias, activation)
        return tape.gradient(y, x, upstream)

    @tf.custom_gradient
    def run(x, bias):
        def gradient(upstream):
            to_x = backward(x, bias, upstream)
            return to_x, column_sums(to_x)

        return forward(x, bias), gradient

    return run


def column_sums(x):
    """Returns the sums (C,) over the rows of x (rows, C): as a matrix product, which adds up in float32."""
    ones = tf.ones((1, tf.shape(x)[0]), x.dtype)
    return tf.squeeze(tf.matmul(ones, x), axis=0)
