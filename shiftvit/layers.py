"""The layers of ShiftViT (Wang et al., "When Shift Operation Meets Vision Transformer", AAAI 2022; microsoft/SPACH)."""

from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from shiftvit.config import ModelConfig

NORM_EPSILON = 1e-5
# Where groups 0-3 read from (rows, columns): they move left, right, up, down.
DIRECTIONS = ((0, 1), (0, -1), (1, 0), (-1, 0))


class Shift(tf.keras.layers.Layer):
    """Moves four groups of floor(C / n_div) channels one pixel left, right, up and down; zeros enter; the rest stays.

    A depthwise convolution with constant one-hot kernels: one pass over the map, about twice as fast on a CPU,
    forward and backward, as cutting the map into groups, padding each and joining them again.
    """

    def __init__(self, n_div: int, **kwargs):
        super().__init__(**kwargs)
        self.n_div = n_div

    def build(self, input_shape):
        """Makes the kernels for the channels of (N, H, W, C)."""
        channels = input_shape[-1]
        group = channels // self.n_div
        kernel = np.zeros((3, 3, channels, 1), np.float32)
        kernel[1, 1, len(DIRECTIONS) * group :] = 1
        for index, (row, column) in enumerate(DIRECTIONS):
            kernel[1 + row, 1 + column, index * group : (index + 1) * group] = 1
        self.kernel = kernel

    def call(self, x):
        """x: (N, H, W, C); returns the same shape."""
        return tf.nn.depthwise_conv2d(x, tf.constant(self.kernel, x.dtype), strides=(1, 1, 1, 1), padding="SAME")


class GroupNorm1(tf.keras.layers.Layer):
    """Group normalisation with one group: over height, width and channels of each image; statistics in float32."""

    def build(self, input_shape):
        """Makes a scale and an offset for each channel of (N, H, W, C)."""
        channels = input_shape[-1]
        self.gamma = self.add_weight("gamma", (channels,), initializer="ones")
        self.beta = self.add_weight("beta", (channels,), initializer="zeros")

    def call(self, x):
        """x: (N, H, W, C); returns the same shape and type."""
        mean, variance = tf.nn.moments(tf.cast(x, tf.float32), axes=(1, 2, 3), keepdims=True)
        scale = tf.cast(self.gamma, tf.float32) * tf.math.rsqrt(variance + NORM_EPSILON)
        offset = tf.cast(self.beta, tf.float32) - mean * scale
        return x * tf.cast(scale, x.dtype) + tf.cast(offset, x.dtype)


class DropPath(tf.keras.layers.Layer):
    """Stochastic depth (Huang et al., 2016): in training, drops the branch of whole images with probability `rate`."""

    def __init__(self, rate: float, **kwargs):
        super().__init__(**kwargs)
        self.rate = rate

    def call(self, x, training=None):
        """x: (N, H, W, C); returns the same shape, with the kept images scaled by 1 / (1 - rate)."""
        if not training or not self.rate:
            return x
        draw = tf.random.uniform((tf.shape(x)[0], 1, 1, 1))
        return x * tf.cast(tf.floor(1 - self.rate + draw) / (1 - self.rate), x.dtype)


def dense(units: int, name: str, dtype) -> tf.keras.layers.Dense:
    """Returns a dense layer with the published initialisation."""
    return tf.keras.layers.Dense(
        units, kernel_initializer=tf.keras.initializers.TruncatedNormal(stddev=0.02), name=name, dtype=dtype
    )


def patches(channels: int, size: int, name: str, dtype, use_bias: bool = True) -> tf.keras.layers.Conv2D:
    """Returns a convolution over non-overlapping patches of `size` x `size`, with the published initialisation.

    Patches that reach over the border of a map are filled up with zeros, so an odd map loses nothing.
    """
    return tf.keras.layers.Conv2D(
        channels,
        size,
        strides=size,
        padding="same",
        use_bias=use_bias,
        name=name,
        dtype=dtype,
        kernel_initializer=tf.keras.initializers.TruncatedNormal(stddev=0.02),
    )


class ShiftBlock(tf.keras.layers.Layer):
    """x = shift(x); x + drop_path(mlp(norm(x))): the shift comes before the shortcut, as published."""

    def __init__(self, channels: int, config: ModelConfig, drop_path: float, **kwargs):
        super().__init__(**kwargs)
        dtype = self.dtype_policy
        self.shift = Shift(config.n_div, dtype=dtype)
        self.norm = GroupNorm1(dtype=dtype)
        self.expand = dense(int(channels * config.mlp_ratio), "expand", dtype)
        self.project = dense(channels, "project", dtype)
        self.dropout = tf.keras.layers.Dropout(config.dropout, dtype=dtype)
        self.drop_path = DropPath(drop_path, dtype=dtype)

    def call(self, x, training=None):
        """x: (N, H, W, C); returns the same shape."""
        x = self.shift(x)
        hidden = tf.nn.gelu(self.expand(self.norm(x)))
        branch = self.dropout(self.project(self.dropout(hidden, training=training)), training=training)
        return x + self.drop_path(branch, training=training)


def drop_path_rates(rate: float, depths: Sequence[int]) -> list[list[float]]:
    """Returns the drop path of each block of each stage: from 0 to `rate`, linear over the whole depth."""
    rates = iter(np.linspace(0, rate, sum(depths)).tolist())
    return [[next(rates) for _ in range(depth)] for depth in depths]
