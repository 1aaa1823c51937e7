"""Augmentation of batches; each operation takes a batch and a seed and is deterministic given the seed.

Everything runs eagerly, in a graph, in tf.data and under XLA. On a GPU, compile it with XLA: TensorFlow's own kernels
for gathering bytes and for integer arithmetic run on the host only.
"""

import tensorflow as tf

from shiftvit.config import DataConfig
from shiftvit.geometry import crop_and_flip
from shiftvit.mixing import erase, mix
from shiftvit.randaugment import randaugment
from shiftvit.rng import split


def augment(
    images: tf.Tensor, labels: tf.Tensor, seed: tf.Tensor, config: DataConfig, num_classes: int
) -> tuple[tf.Tensor, tf.Tensor]:
    """Applies the operations that `config` enables, each with its own random numbers.

    RandAugment comes before mixing: moving a mixed image would change the shares of its classes, and its contrast would
    be that of two images. Erasing comes last, so that its noise is neither recoloured nor mixed into other images.

    Args:
        images: uint8 (N, H, W, C).
        labels: class ids, int64 (N,).
        seed: int64 (2,), different for each batch.
        config: the operations and their strengths.
        num_classes: of the data.

    Returns:
        Images of the same shape and type, and their targets: the labels themselves or, if mixing is enabled, the
        shares of the classes, float32 (N, num_classes).
    """
    crop_seed, randaugment_seed, mix_seed, erase_seed = split(seed, 4)
    if config.crop_padding or config.flip:
        images = crop_and_flip(images, crop_seed, config.crop_padding, config.flip)
    if config.randaugment_ops:
        images = randaugment(images, randaugment_seed, config.randaugment_ops, config.randaugment_magnitude)
    if config.mixup or config.cutmix:
        images, labels = mix(images, labels, mix_seed, config.mixup, config.cutmix, num_classes)
    if config.erasing:
        images = erase(images, erase_seed, config.erasing)
    return images, labels
