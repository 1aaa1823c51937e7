"""The layers of ShiftViT (Wang et al., "When Shift Operation Meets Vision Transformer", AAAI 2022; microsoft/SPACH)."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from shiftvit import rng
from shiftvit.fused import NORM_EPSILON, bias_activation, fused_bias_activation, fused_group_norm, group_norm

# (row, column) offsets that channel groups 0 to 3 read from: they move left, right, up and down.
DIRECTIONS = ((0, 1), (0, -1), (1, 0), (-1, 0))
INIT_STD = 0.02

registered = tf.keras.utils.register_keras_serializable("shiftvit")


def kernel_initializer() -> tf.keras.initializers.Initializer:
    """Returns the initialiser of all kernels: normal; the paper's truncation at 100 sigma has no effect.

    Keras's TruncatedNormal would not do: it truncates at two sigma, which reduces the deviation to 0.88 sigma.
    """
    return tf.keras.initializers.RandomNormal(stddev=INIT_STD)


@registered
class Shift(tf.keras.layers.Layer):
    """Shifts four groups of floor(C / n_div) channels left, right, up and down; zeros enter; the rest stays.

    Implemented as a depthwise convolution with constant one-hot kernels. On a CPU it is about twice as fast, forward
    and backward, as slicing, padding and concatenating.
    """

    def __init__(self, n_div: int, pixels: int = 1, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.n_div, self.pixels = n_div, pixels

    def build(self, input_shape: tf.TensorShape) -> None:
        channels, radius = input_shape[-1], self.pixels
        group = channels // self.n_div
        kernel = np.zeros((2 * radius + 1, 2 * radius + 1, channels, 1), np.float32)
        kernel[radius, radius, len(DIRECTIONS) * group :] = 1
        for index, (row, column) in enumerate(DIRECTIONS):
            kernel[radius + row * radius, radius + column * radius, index * group : (index + 1) * group] = 1
        self.kernel = kernel

    def call(self, x: tf.Tensor) -> tf.Tensor:
        """Maps (N, H, W, C) to the same shape."""
        return tf.nn.depthwise_conv2d(x, tf.constant(self.kernel, x.dtype), strides=(1, 1, 1, 1), padding="SAME")

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {"n_div": self.n_div, "pixels": self.pixels}


@registered
class GroupNorm1(tf.keras.layers.Layer):
    """Group normalisation with one group: over height, width and channels of each image, computed in float32."""

    def __init__(self, fused: bool = False, **kwargs: Any) -> None:
        # float32 weights and an input in its own type, whatever precision policy is set globally.
        super().__init__(**kwargs | {"dtype": "float32", "autocast": False})
        self.fused = fused

    def build(self, input_shape: tf.TensorShape) -> None:
        channels = input_shape[-1]
        self.gamma = self.add_weight("gamma", (channels,), initializer="ones")
        self.beta = self.add_weight("beta", (channels,), initializer="zeros")

    def call(self, x: tf.Tensor) -> tf.Tensor:
        """Maps (N, H, W, C) to the same shape and type."""
        norm = fused_group_norm if self.fused else group_norm
        return norm(x, tf.convert_to_tensor(self.gamma), tf.convert_to_tensor(self.beta))

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {"fused": self.fused}


@registered
class BatchNorm(tf.keras.layers.BatchNormalization):
    """Batch normalisation over all replicas. Keras omits `synchronized` from the config, so a subclass sets it."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs, synchronized=True)


def make_norm(kind: str, name: str, dtype: tf.keras.mixed_precision.Policy, fused: bool) -> tf.keras.layers.Layer:
    """Returns the layer for a value of `ModelConfig.norm`, with PyTorch's defaults, as published weights need."""
    if kind == "batch":
        return BatchNorm(momentum=0.9, epsilon=NORM_EPSILON, name=name, dtype=dtype)
    if kind == "layer":
        return tf.keras.layers.LayerNormalization(epsilon=NORM_EPSILON, name=name, dtype=dtype)
    return GroupNorm1(fused, name=name)


@registered
class DropPath(tf.keras.layers.Layer):
    """Stochastic depth (Huang et al., 2016): in training, zeroes the branch of an image with probability `rate`."""

    def __init__(self, rate: float, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.rate = rate

    def call(self, x: tf.Tensor, training: bool | None = None) -> tf.Tensor:
        """Maps (N, H, W, C) to the same shape; the kept images are scaled by 1 / (1 - rate)."""
        if not training or not self.rate:
            return x
        random = rng.layer_uniform((tf.shape(x)[0], 1, 1, 1))
        return x * tf.cast(tf.floor(1 - self.rate + random) / (1 - self.rate), x.dtype)

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {"rate": self.rate}


@registered
class MLP(tf.keras.layers.Layer):
    """Two dense layers at each position with an activation between: C to `hidden` to C channels."""

    def __init__(
        self, hidden: int, activation: str = "gelu", dropout: float = 0.0, fused: bool = False, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.hidden, self.activation, self.rate, self.fused = hidden, activation, dropout, fused

    def build(self, input_shape: tf.TensorShape) -> None:
        channels = input_shape[-1]
        self.expand_kernel = self.add_weight("expand/kernel", (channels, self.hidden), initializer=kernel_initializer())
        self.expand_bias = self.add_weight("expand/bias", (self.hidden,), initializer="zeros")
        self.project_kernel = self.add_weight(
            "project/kernel", (self.hidden, channels), initializer=kernel_initializer()
        )
        self.project_bias = self.add_weight("project/bias", (channels,), initializer="zeros")

    def call(self, x: tf.Tensor, training: bool | None = None) -> tf.Tensor:
        """Maps (N, H, W, C) to the same shape."""
        activate = fused_bias_activation if self.fused else bias_activation
        # One reshape to rows up front: TensorFlow fuses a product with its bias only if no reshape comes between them.
        rows = tf.reshape(x, (-1, x.shape[-1]))
        expanded = tf.matmul(rows, tf.convert_to_tensor(self.expand_kernel))
        hidden = activate(expanded, tf.convert_to_tensor(self.expand_bias), self.activation)
        projected = tf.nn.bias_add(tf.matmul(self._drop(hidden, training), self.project_kernel), self.project_bias)
        return tf.reshape(self._drop(projected, training), tf.shape(x))

    def _drop(self, x: tf.Tensor, training: bool | None) -> tf.Tensor:
        return rng.layer_dropout(x, self.rate) if training and self.rate else x

    def get_config(self) -> dict[str, Any]:
        settings = {"hidden": self.hidden, "activation": self.activation, "dropout": self.rate, "fused": self.fused}
        return super().get_config() | settings


@registered
class PatchConv(tf.keras.layers.Layer):
    """A convolution over non-overlapping patches: the stem's patch embedding, and the merging before a stage.

    If `size` does not divide a side, the rest at the bottom or on the right is cut off, as published; with `pad`, it is
    filled up with zeros. Implemented as one matrix product, whose backward pass on a CPU is several times faster than
    a convolution's.
    """

    def __init__(self, channels: int, size: int, use_bias: bool = True, pad: bool = False, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.channels, self.size, self.use_bias, self.pad = channels, size, use_bias, pad

    def build(self, input_shape: tf.TensorShape) -> None:
        shape = (self.size, self.size, input_shape[-1], self.channels)
        self.kernel = self.add_weight("kernel", shape, initializer=kernel_initializer())
        self.bias = self.add_weight("bias", (self.channels,), initializer="zeros") if self.use_bias else None

    def call(self, x: tf.Tensor) -> tf.Tensor:
        """Maps (N, H, W, C) to (N, H // size, W // size, channels); with `pad`, the quotients are rounded up."""
        size = self.size
        height, width, depth = x.shape[1:]
        if height % size or width % size:
            if self.pad:
                x = tf.pad(x, ((0, 0), (0, -height % size), (0, -width % size), (0, 0)))
            else:
                x = x[:, : height - height % size, : width - width % size]
            height, width = x.shape[1:3]
        grid = tf.reshape(x, (-1, height // size, size, width // size, size, depth))
        patches = tf.reshape(tf.transpose(grid, (0, 1, 3, 2, 4, 5)), (-1, size * size * depth))
        y = tf.matmul(patches, tf.reshape(self.kernel, (-1, self.channels)))
        if self.use_bias:
            y = tf.nn.bias_add(y, self.bias)
        return tf.reshape(y, (-1, height // size, width // size, self.channels))

    def get_config(self) -> dict[str, Any]:
        settings = {"channels": self.channels, "size": self.size, "use_bias": self.use_bias, "pad": self.pad}
        return super().get_config() | settings


@registered
class ShiftBlock(tf.keras.layers.Layer):
    """x = shift(x); x + drop_path(mlp(norm(x))). The shortcut starts after the shift, as published."""

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
        **kwargs: Any,
    ) -> None:
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

    def call(self, x: tf.Tensor, training: bool | None = None) -> tf.Tensor:
        """Maps (N, H, W, C) to the same shape; a frozen block computes as at inference."""
        training = training and self.trainable
        x = self.shift(x)
        branch = self.mlp(self.norm(x, training=training), training=training)
        return x + self.drop_path(branch, training=training)

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | self._settings


def drop_path_rates(rate: float, depths: Sequence[int]) -> list[list[float]]:
    """Returns the rate of each block of each stage, increasing linearly from 0 to `rate` over the whole network.

    >>> drop_path_rates(0.25, depths=(2, 3))
    [[0.0, 0.0625], [0.125, 0.1875, 0.25]]
    """
    rates = iter(np.linspace(0, rate, sum(depths)).tolist())
    return [[next(rates) for _ in range(depth)] for depth in depths]
