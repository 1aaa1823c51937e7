"""The training step of the Keras example that this project starts from, re-implemented for timing.

It follows the published description of "A Vision Transformer without Attention" (keras.io, ShiftViT, 2022): float32;
resize, random crop, flip and rescaling inside the train step; blocks whose crop and pad use the same offset, so that
nothing moves and only borders become zero; C // 12 pieces; layer norms only in blocks and merges; a drop path that
restarts in each stage; the pooled features as logits; AdamW with a warm-up, of TensorFlow Addons or, on the current
stack, of Keras.

It is written to cost what the example costs, not to train well, and only the benchmarks use it. It takes AdamW as the
library has it, so that changes to ours do not change the reference.
"""

import math

import numpy as np
import tensorflow as tf

from shiftvit.config import ModelConfig, require
from shiftvit.optimizer import LibraryAdamW

EPSILON = 1e-5
MLP_RATIO = 2.0
DROPOUT = 0.2
DROP_PATH = 0.2
WEIGHT_DECAY = 1e-4
CROP_MARGIN = 4  # pixels that the resized image has beyond the crop: 52 to 48
# For each of the four pieces: first row and column of the crop, and the rows and columns that it cuts off.
CROPS = ((0, 0, 0, 1), (0, 1, 0, 1), (0, 0, 1, 0), (1, 0, 1, 0))  # "left", "right", "up", "down"


def shift(x: tf.Tensor, n_div: int) -> tf.Tensor:
    """The example's shift of x (N, H, W, C): zeroes one border of four pieces of the channels, and moves nothing."""
    height, width, channels = x.shape[1:]
    pieces = tf.split(x, channels // n_div, axis=-1)
    for index, (top, left, rows, columns) in enumerate(CROPS):
        kept = tf.image.crop_to_bounding_box(pieces[index], top, left, height - rows, width - columns)
        pieces[index] = tf.image.pad_to_bounding_box(kept, top, left, height, width)
    return tf.concat(pieces, axis=-1)


def drop_path(x: tf.Tensor, rate: float) -> tf.Tensor:
    """Drops random images of a residual branch x (N, H, W, C), in training only."""
    keep = 1 - rate
    mask = tf.floor(keep + tf.random.uniform((tf.shape(x)[0], 1, 1, 1)))
    return x / keep * mask


class Block(tf.keras.layers.Layer):
    """x = shift(x); x + drop_path(mlp(norm(x))), with dropout after each dense layer."""

    def __init__(self, channels: int, n_div: int, rate: float):
        super().__init__()
        self.n_div, self.rate = n_div, rate
        self.norm = tf.keras.layers.LayerNormalization(epsilon=EPSILON)
        self.mlp = tf.keras.Sequential(
            [
                tf.keras.layers.Dense(int(MLP_RATIO * channels), activation=tf.nn.gelu),
                tf.keras.layers.Dropout(DROPOUT),
                tf.keras.layers.Dense(channels),
                tf.keras.layers.Dropout(DROPOUT),
            ]
        )

    def call(self, x: tf.Tensor, training: bool | None = None) -> tf.Tensor:
        """x: (N, H, W, C); returns the same shape."""
        x = shift(x, self.n_div)
        branch = self.mlp(self.norm(x), training=training)
        return x + (drop_path(branch, self.rate) if training and self.rate else branch)


def merging(channels: int) -> tf.keras.Sequential:
    """Returns layers that take x (N, H, W, C) and return (N, H / 2, W / 2, 2 C)."""
    norm = tf.keras.layers.LayerNormalization(epsilon=EPSILON)
    reduction = tf.keras.layers.Conv2D(2 * channels, 2, strides=2, padding="same", use_bias=False)
    return tf.keras.Sequential([norm, reduction])


class WarmUpCosine(tf.keras.optimizers.schedules.LearningRateSchedule):
    """Linear warm-up over 15% of the steps, then cosine decay."""

    start, peak, warm_up = 1e-5, 1e-3, 0.15

    def __init__(self, total_steps: int):
        super().__init__()
        self.total_steps = total_steps

    def __call__(self, step: tf.Tensor) -> tf.Tensor:
        """step: the number of updates so far; returns the learning rate."""
        progress = tf.cast(step, tf.float32) / self.total_steps
        rising = self.start + (self.peak - self.start) * progress / self.warm_up
        falling = 0.5 * self.peak * (1 + tf.cos(math.pi * progress))
        return tf.where(progress < self.warm_up, rising, falling)


class KerasExample(tf.keras.Model):
    """The example's model, with the image size, patch size, first width, depths and n_div of `config`.

    Raises:
        ConfigError: when the example cannot have the widths or n_div of `config`.
    """

    def __init__(self, config: ModelConfig):
        super().__init__()
        _check(config)
        size, channels, patch = config.image_size, config.dims[0], config.patch_size
        self.augmentation = tf.keras.Sequential(
            [
                tf.keras.layers.Resizing(size + CROP_MARGIN, size + CROP_MARGIN),
                tf.keras.layers.RandomCrop(size, size),
                tf.keras.layers.RandomFlip("horizontal"),
                tf.keras.layers.Rescaling(1 / 255),
            ]
        )
        self.projection = tf.keras.layers.Conv2D(channels, patch, strides=patch, padding="same")
        self.body = []
        for stage, depth in enumerate(config.depths):
            rates = np.linspace(0, DROP_PATH, depth).tolist()
            self.body += [Block(channels << stage, config.n_div, rate) for rate in rates]
            if stage < len(config.depths) - 1:
                self.body.append(merging(channels << stage))
        self.pool = tf.keras.layers.GlobalAveragePooling2D()

    def call(self, images: tf.Tensor, training: bool | None = None) -> tf.Tensor:
        """images: float (N, size, size, 3); returns the pooled features (N, C), which serve as logits."""
        x = self.projection(images)
        for layer in self.body:
            x = layer(x, training=training)
        return self.pool(x)

    def train_step(self, data: tuple[tf.Tensor, tf.Tensor]) -> dict[str, tf.Tensor]:
        """data: images uint8 (N, 32, 32, 3) and class ids (N,); returns the metrics."""
        images, labels = data
        with tf.GradientTape() as tape:
            logits = self(self.augmentation(images, training=True), training=True)
            loss = self.compiled_loss(labels, logits)
        variables = self.trainable_variables
        self.optimizer.apply_gradients(zip(tape.gradient(loss, variables), variables, strict=True))
        self.compiled_metrics.update_state(labels, logits)
        return {metric.name: metric.result() for metric in self.metrics}


def compile_example(config: ModelConfig, total_steps: int) -> tf.keras.Model:
    """Returns the example's model, compiled with its loss, optimizer and metrics."""
    model = KerasExample(config)
    optimizer = LibraryAdamW(learning_rate=WarmUpCosine(total_steps), weight_decay=WEIGHT_DECAY)
    loss = tf.keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    top1 = tf.keras.metrics.SparseCategoricalAccuracy(name="accuracy")
    top5 = tf.keras.metrics.SparseTopKCategoricalAccuracy(5, name="top-5-accuracy")
    model.compile(optimizer, loss, [top1, top5])
    return model


def _check(config: ModelConfig) -> None:
    doubled = tuple(config.dims[0] << stage for stage in range(len(config.dims)))
    require(
        config.dims == doubled,
        f"model.dims={','.join(map(str, config.dims))}: the Keras example, which `step` compares with, doubles the "
        f"channels in each stage; set model.dims={','.join(map(str, doubled))}",
    )
    pieces = config.dims[0] // config.n_div
    require(
        pieces >= len(CROPS) and config.dims[0] % pieces == 0,
        f"model.n_div={config.n_div}: the Keras example, which `step` compares with, splits {config.dims[0]} channels "
        f"into {config.dims[0]} // n_div equal pieces, at least {len(CROPS)}; choose a smaller divisor",
    )
