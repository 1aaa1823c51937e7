"""The layers of ShiftViT (Wang et al., "When Shift Operation Meets Vision Transformer", AAAI 2022; microsoft/SPACH)."""

from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from shiftvit import rng
from shiftvit.fused import NORM_EPSILON, bias_activation, fused_bias_activation, fused_group_norm, group_norm

# Where groups 0-3 read from (rows, columns): they move left, right, up, down.
DIRECTIONS = ((0, 1), (0, -1), (1, 0), (-1, 0))
INITIAL_DEVIATION = 0.02

registered = tf.keras.utils.register_keras_serializable("shiftvit")


def initialiser() -> tf.keras.initializers.Initializer:
    """Returns the published initialisation of all kernels: a normal, whose cut, at a hundred deviations, is left out.

    Keras's truncated normal, cut at two deviations, has a deviation of 0.88 of the one it is given.
    """
    return tf.keras.initializers.RandomNormal(stddev=INITIAL_DEVIATION)


@registered
class Shift(tf.keras.layers.Layer):
    """Moves four groups of floor(C / n_div) channels left, right, up and down; zeros enter; the rest stays.

    A depthwise convolution with constant one-hot kernels: one pass over the map, about twice as fast on a CPU,
    forward and backward, as cutting the map into groups, padding each and joining them again.
    """

    def __init__(self, n_div: int, pixels: int = 1, **kwargs):
        super().__init__(**kwargs)
        self.n_div, self.pixels = n_div, pixels

    def build(self, input_shape):
        """Makes the kernels for the channels of (N, H, W, C)."""
        channels, reach = input_shape[-1], self.pixels
        group = channels // self.n_div
        kernel = np.zeros((2 * reach + 1, 2 * reach + 1, channels, 1), np.float32)
        kernel[reach, reach, len(DIRECTIONS) * group :] = 1
        for index, (row, column) in enumerate(DIRECTIONS):
            kernel[reach + row * reach, reach + column * reach, index * group : (index + 1) * group] = 1
        self.kernel = kernel

    def call(self, x):
        """x: (N, H, W, C); returns the same shape."""
        return tf.nn.depthwise_conv2d(x, tf.constant(self.kernel, x.dtype), strides=(1, 1, 1, 1), padding="SAME")

    def get_config(self):
        """Returns what makes the same layer again."""
        return super().get_config() | {"n_div": self.n_div, "pixels": self.pixels}


@registered
class GroupNorm1(tf.keras.layers.Layer):
    """Group normalisation with one group: over height, width and channels of each image; computes in float32."""

    def __init__(self, fused: bool = False, **kwargs):
        # Its weights stay float32 and its input comes as it is, whatever the precision of the layers around it.
        super().__init__(**kwargs | {"dtype": "float32", "autocast": False})
        self.fused = fused

    def build(self, input_shape):
        """Makes a scale and an offset for each channel of (N, H, W, C)."""
        channels = input_shape[-1]
        self.gamma = self.add_weight("gamma", (channels,), initializer="ones")
        self.beta = self.add_weight("beta", (channels,), initializer="zeros")

    def call(self, x):
        """x: (N, H, W, C); returns the same shape and type."""
        norm = fused_group_norm if self.fused else group_norm
        return norm(x, tf.convert_to_tensor(self.gamma), tf.convert_to_tensor(self.beta))

    def get_config(self):
        """Returns what makes the same layer again."""
        return super().get_config() | {"fused": self.fused}


@registered
class BatchNorm(tf.keras.layers.BatchNormalization):
    """Batch normalisation over all replicas, also when made again from its config: that of Keras does not say so."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs, synchronized=True)


def make_norm(kind: str, name: str, dtype, fused: bool) -> tf.keras.layers.Layer:
    """Returns the norm that `ModelConfig.norm` names; PyTorch's settings, so that published weights mean the same."""
    if kind == "batch":
        return BatchNorm(momentum=0.9, epsilon=NORM_EPSILON, name=name, dtype=dtype)
    if kind == "layer":
        return tf.keras.layers.LayerNormalization(epsilon=NORM_EPSILON, name=name, dtype=dtype)
    return GroupNorm1(fused, name=name)


@registered
class DropPath(tf.keras.layers.Layer):
    """Stochastic depth (Huang et al., 2016): in training, drops the branch of whole images with probability `rate`."""

    def __init__(self, rate: float, **kwargs):
        super().__init__(**kwargs)
        self.rate = rate

    def call(self, x, training=None):
        """x: (N, H, W, C); returns the same shape, with the kept images scaled by 1 / (1 - rate)."""
        if not training or not self.rate:
            return x
        draw = rng.uniform((tf.shape(x)[0], 1, 1, 1))
        return x * tf.cast(tf.floor(1 - self.rate + draw) / (1 - self.rate), x.dtype)

    def get_config(self):
        """Returns what makes the same layer again."""
        return super().get_config() | {"rate": self.rate}


@registered
class MLP(tf.keras.layers.Layer):
    """Two dense layers at each position, with an activation between: C to hidden to C channels."""

    def __init__(self, hidden: int, activation: str = "gelu", dropout: float = 0.0, fused: bool = False, **kwargs):
        super().__init__(**kwargs)
        self.hidden, self.activation, self.rate, self.fused = hidden, activation, dropout, fused

    def build(self, input_shape):
        """Makes the kernels and biases for the channels of (N, H, W, C)."""
        channels = input_shape[-1]
        self.expand_kernel = self.add_weight("expand/kernel", (channels, self.hidden), initializer=initialiser())
        self.expand_bias = self.add_weight("expand/bias", (self.hidden,), initializer="zeros")
        self.project_kernel = self.add_weight("project/kernel", (self.hidden, channels), initializer=initialiser())
        self.project_bias = self.add_weight("project/bias", (channels,), initializer="zeros")

    def call(self, x, training=None):
        """x: (N, H, W, C); returns the same shape."""
        activate = fused_bias_activation if self.fused else bias_activation
        # Rows of channels: TensorFlow joins a product and its bias only where no reshape stands between them.
        rows = tf.reshape(x, (-1, x.shape[-1]))
        expanded = tf.matmul(rows, tf.convert_to_tensor(self.expand_kernel))
        hidden = activate(expanded, tf.convert_to_tensor(self.expand_bias), self.activation)
        projected = tf.nn.bias_add(tf.matmul(self._drop(hidden, training), self.project_kernel), self.project_bias)
        return tf.reshape(self._drop(projected, training), tf.shape(x))

    def _drop(self, x, training):
        return rng.dropout(x, self.rate) if training and self.rate else x

    def get_config(self):
        """Returns what makes the same layer again."""
        settings = {"hidden": self.hidden, "activation": self.activation, "dropout": self.rate, "fused": self.fused}
        return super().get_config() | settings


@registered
class Patches(tf.keras.layers.Layer):
    """A convolution over non-overlapping patches of size x size: (N, H, W, C) to (N, H / size, W / size, channels).

    A map whose side the patches do not divide is filled up with zeros at the bottom and on the right. Computed as one
    matrix product, whose backward pass is on a CPU several times faster than a convolution's.
    """

    def __init__(self, channels: int, size: int, use_bias: bool = True, **kwargs):
        super().__init__(**kwargs)
        self.channels, self.size, self.use_bias = channels, size, use_bias

    def build(self, input_shape):
        """Makes the kernel, shaped as a convolution's, and the bias."""
        shape = (self.size, self.size, input_shape[-1], self.channels)
        self.kernel = self.add_weight("kernel", shape, initializer=initialiser())
        self.bias = self.add_weight("bias", (self.channels,), initializer="zeros") if self.use_bias else None

    def call(self, x):
        """x: (N, H, W, C)."""
        size = self.size
        rows, columns = (-side % size for side in x.shape[1:3])
        if rows or columns:
            x = tf.pad(x, ((0, 0), (0, rows), (0, columns), (0, 0)))
        _, height, width, depth = x.shape
        grid = tf.reshape(x, (-1, height // size, size, width // size, size, depth))
        patches = tf.reshape(tf.transpose(grid, (0, 1, 3, 2, 4, 5)), (-1, size * size * depth))
        y = tf.matmul(patches, tf.reshape(self.kernel, (-1, self.channels)))
        if self.use_bias:
            y = tf.nn.bias_add(y, self.bias)
        return tf.reshape(y, (-1, height // size, width // size, self.channels))

    def get_config(self):
        """Returns what makes the same layer again."""
        return super().get_config() | {"channels": self.channels, "size": self.size, "use_bias": self.use_bias}


@registered
class ShiftBlock(tf.keras.layers.Layer):
    """x = shift(x); x + drop_path(mlp(norm(x))): the shift comes before the shortcut, as published."""

    def __init__(
        self,
        n_div: int,
        pixels: int,
        hidden: int,
        norm: str,
        activation: str,
        dropout: float = 0.0,
        drop_path: float = 0.0,
        fused: bool = False,
        **kwargs,
    ):
        super().__init__(**kwargs)
        dtype = self.dtype_policy
        self.shift = Shift(n_div, pixels, name="shift", dtype=dtype)
        self.norm = make_norm(norm, "norm", dtype, fused)
        self.mlp = MLP(hidden, activation, dropout, fused, name="mlp", dtype=dtype)
        self.drop_path = DropPath(drop_path, name="drop_path", dtype=dtype)
        self._settings = {
            "n_div": n_div,
            "pixels": pixels,
            "hidden": hidden,
            "norm": norm,
            "activation": activation,
            "dropout": dropout,
            "drop_path": drop_path,
            "fused": fused,
        }

    def call(self, x, training=None):
        """x: (N, H, W, C); returns the same shape."""
        x = self.shift(x)
        branch = self.mlp(self.norm(x, training=training), training=training)
        return x + self.drop_path(branch, training=training)

    def get_config(self):
        """Returns what makes the same layer again."""
        return super().get_config() | self._settings


def drop_path_rates(rate: float, depths: Sequence[int]) -> list[list[float]]:
    """Returns the drop path of each block of each stage: from 0 to `rate`, linear over the whole depth."""
    rates = iter(np.linspace(0, rate, sum(depths)).tolist())
    return [[next(rates) for _ in range(depth)] for depth in depths]
