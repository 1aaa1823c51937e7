"""Augmentation of batches, in tensors: each function takes a batch and a seed, and gives the same for the same seed."""

import tensorflow as tf

from shiftvit.config import DataConfig


def augment(images, seed, config: DataConfig):
    """Returns the images (N, H, W, C), cropped at random after reflect-padding and flipped, as `config` says.

    seed: int64 (2,), a different one for each batch.
    """
    return crop_and_flip(images, seed, config.crop_padding, config.flip)


def crop_and_flip(images, seed, padding: int, flip: bool):
    """Moves each image by up to `padding` pixels, mirrored at its borders, and turns half of them left to right.

    One gather for rows and one for columns: neither the padded images nor a copy of the flipped ones is ever made.
    """
    batch, height, width = tf.shape(images)[0], images.shape[1], images.shape[2]
    draws = tf.random.stateless_uniform((3, batch, 1), seed)
    offsets = tf.cast(tf.floor(draws[:2] * (2 * padding + 1)), tf.int32) - padding
    rows = mirrored(tf.range(height) + offsets[0], height)
    columns = mirrored(tf.range(width) + offsets[1], width)
    if flip:
        columns = tf.where(draws[2] < 0.5, tf.reverse(columns, axis=[1]), columns)
    images = tf.gather(images, rows, axis=1, batch_dims=1)
    return tf.gather(images, columns, axis=2, batch_dims=1)


def mirrored(index, size: int):
    """Reflects indices that leave [0, size) back into it, without repeating the border."""
    return size - 1 - tf.abs(size - 1 - tf.abs(index))
