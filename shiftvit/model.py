"""The network, and the model that wraps it to take images as they are stored."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf

from shiftvit.config import ModelConfig
from shiftvit.dataset import DatasetInfo
from shiftvit.features import image_shape
from shiftvit.layers import PatchConv, ShiftBlock, drop_path_rates, kernel_initializer, make_norm, registered
from shiftvit.tracing import as_written

NETWORK = "shiftvit"  # name of the network, and of its layer in the model


@registered
class Normalise(tf.keras.layers.Layer):
    """Resizes uint8 images to size x size and standardises their pixels per channel."""

    def __init__(self, size: int, mean: Sequence[float], std: Sequence[float], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.size, self.mean, self.std = size, tuple(mean), tuple(std)  # mean and deviation: by channel, from 0 to 1

    def call(self, images: tf.Tensor) -> tf.Tensor:
        """Maps uint8 (N, H, W, 3) to (N, size, size, 3) in the layer's compute type."""
        x = tf.cast(images, tf.float32)
        if images.shape[1:3] != (self.size, self.size):
            x = tf.image.resize(x, (self.size, self.size))
        mean, std = (255 * np.array(values, np.float32) for values in (self.mean, self.std))
        return tf.cast((x - mean) / std, self.compute_dtype)

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {"size": self.size, "mean": self.mean, "std": self.std}


@registered
class AppendMirrored(tf.keras.layers.Layer):
    """Except in training, appends the mirror image of each image: (N, H, W, C) to (2 N, H, W, C)."""

    def call(self, images: tf.Tensor, training: bool | None = None) -> tf.Tensor:
        return images if training else tf.concat([images, tf.reverse(images, axis=[2])], axis=0)


@registered
class AverageMirrored(tf.keras.layers.Layer):
    """Except in training, averages the logits of images and mirror images: (2 N, classes) to (N, classes)."""

    def call(self, logits: tf.Tensor, training: bool | None = None) -> tf.Tensor:
        return logits if training else tf.add_n(tf.split(logits, 2)) / 2


@as_written
def build_network(config: ModelConfig, precision: str = "float32", fused: bool = False) -> tf.keras.Model:
    """Returns the network without preprocessing.

    Args:
        config: its dimensions, with the sizes of the input and the patches and the number of classes.
        precision: name of a Keras policy. Norm statistics, pooling and logits are float32 under any policy.
        fused: compiles norms and activations with XLA: the same results, faster training.

    Returns:
        A model from standardised images, float (N, size, size, 3), to logits, float32 (N, num_classes).
    """
    assert config.image_size and config.patch_size and config.num_classes, "ExperimentConfig.for_data fills them in"
    dtype = tf.keras.mixed_precision.Policy(precision)
    inputs = tf.keras.Input((config.image_size, config.image_size, 3), dtype=dtype.compute_dtype)
    make = _LayerFactory(config, dtype, fused)
    x = make.stem(inputs)
    rates = drop_path_rates(config.drop_path, config.depths)
    for stage, channels in enumerate(config.dims):
        if stage:
            x = make.norm(f"merge{stage}_norm")(x)
            x = PatchConv(channels, 2, use_bias=False, pad=config.pad_odd_maps, name=f"merge{stage}", dtype=dtype)(x)
        for block, rate in enumerate(rates[stage]):
            x = make.block(channels, rate, f"stage{stage}_block{block}")(x)
    x = make.norm("norm")(x)
    x = tf.keras.layers.GlobalAveragePooling2D(name="pool", dtype="float32")(x)
    head = tf.keras.layers.Dense(
        config.num_classes, kernel_initializer=kernel_initializer(), name="head", dtype="float32"
    )
    return tf.keras.Model(inputs, head(x), name=NETWORK)


@dataclass(frozen=True)
class _LayerFactory:
    """Creates the layers of a network, with the settings that they share."""

    config: ModelConfig
    dtype: tf.keras.mixed_precision.Policy
    fused: bool

    def norm(self, name: str) -> tf.keras.layers.Layer:
        return make_norm(self.config.norm, name, self.dtype, self.fused)

    def block(self, channels: int, drop_path: float, name: str) -> ShiftBlock:
        return ShiftBlock(
            n_div=self.config.n_div,
            pixels=self.config.shift_pixels,
            hidden=int(channels * self.config.mlp_ratio),
            norm=self.config.norm,
            activation=self.config.activation,
            dropout=self.config.dropout,
            drop_path=drop_path,
            fused=self.fused,
            name=name,
            dtype=self.dtype,
        )

    def stem(self, x: tf.Tensor) -> tf.Tensor:
        """Applies the patch embedding, or convolutions that halve the size step by step (Xiao et al., 2021)."""
        channels = self.config.dims[0]
        if self.config.stem == "patch":
            x = PatchConv(channels, self.config.patch_size, name="stem", dtype=self.dtype)(x)
            return self.norm("stem_norm")(x)
        halvings = int(math.log2(self.config.patch_size))
        last = max(halvings - 1, 0)
        for step in range(last):
            x = self._stem_step(channels // 2, 2, step)(x)
            x = tf.keras.layers.Activation(self.config.activation, name=f"stem{step}_activation", dtype=self.dtype)(x)
        return self._stem_step(channels, 2 if halvings else 1, last)(x)

    def _stem_step(self, channels: int, stride: int, step: int) -> tf.keras.Sequential:
        name, initializer = f"stem{step}", kernel_initializer()
        convolution = tf.keras.layers.Conv2D(
            channels, 3, stride, "same", kernel_initializer=initializer, name=f"{name}/convolution", dtype=self.dtype
        )
        return tf.keras.Sequential([convolution, self.norm(f"{name}/norm")], name=name)


@as_written
def build_model(
    config: ModelConfig, dataset: DatasetInfo, precision: str = "float32", fused: bool = False
) -> tf.keras.Model:
    """Returns the network of `build_network`, with the same arguments, behind the preprocessing of `dataset`.

    Returns:
        A model from stored images, uint8 (N, size, size, 3), to logits, float32 (N, num_classes).
    """
    images = x = tf.keras.Input(image_shape(dataset.image_size), dtype=tf.uint8)
    if config.flip_test:
        x = AppendMirrored(name="append_mirrored", dtype="uint8")(x)
    policy = tf.keras.mixed_precision.Policy(precision)
    x = Normalise(config.image_size, dataset.pixel_mean, dataset.pixel_std, name="normalise", dtype=policy)(x)
    logits = build_network(config, precision, fused)(x)
    if config.flip_test:
        logits = AverageMirrored(name="average_mirrored", dtype="float32")(logits)
    return tf.keras.Model(images, logits)
