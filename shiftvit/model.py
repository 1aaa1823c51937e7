"""The network, and the model around it that takes the images as they are stored."""

import numpy as np
import tensorflow as tf

from shiftvit.config import ModelConfig
from shiftvit.features import IMAGE_SHAPE
from shiftvit.layers import GroupNorm1, ShiftBlock, dense, drop_path_rates, patches

# Mean and standard deviation of CIFAR-10's training pixels, per channel, on the scale of 0 to 1.
PIXEL_MEAN = (0.4914, 0.4822, 0.4465)
PIXEL_DEVIATION = (0.2470, 0.2435, 0.2616)


class Normalise(tf.keras.layers.Layer):
    """Resizes uint8 images to the network's size and brings their pixels to zero mean and unit deviation."""

    def __init__(self, size: int, **kwargs):
        super().__init__(**kwargs)
        self.size = size

    def call(self, images):
        """images: uint8 (N, H, W, 3); returns (N, size, size, 3) in the layer's compute type."""
        x = tf.cast(images, tf.float32)
        if images.shape[1:3] != (self.size, self.size):
            x = tf.image.resize(x, (self.size, self.size))
        mean, deviation = 255 * np.float32(PIXEL_MEAN), 255 * np.float32(PIXEL_DEVIATION)
        return tf.cast((x - mean) / deviation, self.compute_dtype)


def build_network(config: ModelConfig, precision: str = "float32") -> tf.keras.Model:
    """Returns the network alone: normalised float images (N, size, size, 3) to float32 logits (N, num_classes)."""
    dtype = tf.keras.mixed_precision.Policy(precision)
    inputs = tf.keras.Input((config.image_size, config.image_size, 3), dtype=dtype.compute_dtype)
    x = patches(config.dims[0], config.patch_size, "stem", dtype)(inputs)
    x = GroupNorm1(name="stem_norm", dtype=dtype)(x)
    rates = drop_path_rates(config.drop_path, config.depths)
    for stage, channels in enumerate(config.dims):
        if stage:
            x = GroupNorm1(name=f"merge{stage}_norm", dtype=dtype)(x)
            x = patches(channels, 2, f"merge{stage}", dtype, use_bias=False)(x)
        for block, rate in enumerate(rates[stage]):
            x = ShiftBlock(channels, config, rate, name=f"stage{stage}_block{block}", dtype=dtype)(x)
    x = GroupNorm1(name="norm", dtype=dtype)(x)
    x = tf.keras.layers.GlobalAveragePooling2D(dtype="float32")(x)
    return tf.keras.Model(inputs, dense(config.num_classes, "head", "float32")(x), name="shiftvit")


def build_model(config: ModelConfig, precision: str = "float32") -> tf.keras.Model:
    """Returns the model: uint8 images (N, 32, 32, 3) in, float32 logits (N, num_classes) out."""
    images = tf.keras.Input(IMAGE_SHAPE, dtype=tf.uint8)
    x = Normalise(config.image_size, dtype=tf.keras.mixed_precision.Policy(precision))(images)
    return tf.keras.Model(images, build_network(config, precision)(x))
