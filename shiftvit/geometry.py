"""Where the pixels of augmented images come from: crops, flips, and any other movement within the image."""

import tensorflow as tf

from shiftvit.rng import fractions


def crop_and_flip(images, seed, padding: int, flip: bool):
    """Moves each image by up to `padding` pixels, mirrored at its borders, and turns half of them left to right.

    One gather for rows and one for columns: neither the padded images nor a copy of the flipped ones is ever made.

    Args:
        images: uint8 (N, H, W, C).
        seed: int64 (2,).
        padding: pixels, at each side.
        flip: whether to flip.
    """
    batch, height, width = tf.shape(images)[0], images.shape[1], images.shape[2]
    draws = fractions((3, batch, 1), seed)
    offsets = tf.cast(tf.floor(draws[:2] * (2 * padding + 1)), tf.int32) - padding
    rows = mirrored(tf.range(height) + offsets[0], height)
    columns = mirrored(tf.range(width) + offsets[1], width)
    if flip:
        columns = tf.where(draws[2] < 0.5, tf.reverse(columns, axis=[1]), columns)
    images = tf.gather(images, rows, axis=1, batch_dims=1)
    return tf.gather(images, columns, axis=2, batch_dims=1)


def sample(images, rows, columns):
    """Returns images whose pixels are read at (rows, columns) of the old ones, between four pixels, mirrored outside.

    Args:
        images: uint8 (N, H, W, C).
        rows: float32 (N, H, W), in pixels; 0 is the centre of the first row.
        columns: the same for columns.
    """
    height, width, channels = images.shape[1:]
    top, left = tf.floor(rows), tf.floor(columns)
    lower, right = (rows - top)[..., tf.newaxis], (columns - left)[..., tf.newaxis]
    top, left = tf.cast(top, tf.int32), tf.cast(left, tf.int32)
    lines = [mirrored(line, height) * width for line in (top, top + 1)]
    places = [mirrored(place, width) for place in (left, left + 1)]
    pixels = tf.cast(tf.reshape(images, (-1, height * width, channels)), tf.float32)
    upper_left, upper_right, lower_left, lower_right = (
        tf.gather(pixels, line + place, batch_dims=1) for line in lines for place in places
    )
    upper_line = upper_left + right * (upper_right - upper_left)
    lower_line = lower_left + right * (lower_right - lower_left)
    return tf.cast(tf.round(upper_line + lower * (lower_line - upper_line)), tf.uint8)


def mirrored(index, size: int):
    """Reflects indices that leave [0, size) back into it, as often as needed, without repeating the border."""
    return size - 1 - tf.abs(size - 1 - index % (2 * size - 2))
