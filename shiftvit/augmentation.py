"""Augmentation of batches, in tensors: each piece takes a batch and a seed, and gives the same for the same seed.

Every piece runs eagerly, in a graph, in tf.data and under XLA. On a GPU, let XLA compile it: TensorFlow by itself
gathers bytes, and computes with whole numbers, on the host only.
"""

from shiftvit.config import DataConfig
from shiftvit.geometry import crop_and_flip
from shiftvit.mixing import erase, mix
from shiftvit.randaugment import randaugment
from shiftvit.rng import split


def augment(images, labels, seed, config: DataConfig):
    """Applies the pieces that `config` asks for, each with random numbers of its own.

    Crop and flip come first, since they lose nothing; RandAugment next, while each image is of one class: movements
    after a mixture would change the shares of its classes, and contrasts would be those of two images. Erasing is
    last: the noise is neither recoloured nor handed to another image.

    Args:
        images: uint8 (N, H, W, C).
        labels: int64 (N,), class ids.
        seed: int64 (2,), a different one for each batch.
        config: what to do.

    Returns:
        The images, of the same shape and type, and their targets: the labels as they came where nothing is mixed,
        otherwise the share of each class, float32 (N, NUM_CLASSES).
    """
    cropping, operations, mixing, erasing = split(seed, 4)
    if config.crop_padding or config.flip:
        images = crop_and_flip(images, cropping, config.crop_padding, config.flip)
    if config.randaugment_ops:
        images = randaugment(images, operations, config.randaugment_ops, config.randaugment_magnitude)
    if config.mixup or config.cutmix:
        images, labels = mix(images, labels, mixing, config.mixup, config.cutmix)
    if config.erasing:
        images = erase(images, erasing, config.erasing)
    return images, labels
