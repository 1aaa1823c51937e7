"""Geometric augmentation: crop, flip and resampling at arbitrary positions."""

import tensorflow as tf

from shiftvit.rng import uniform


def crop_and_flip(images: tf.Tensor, seed: tf.Tensor, padding: int, flip: bool) -> tf.Tensor:
    """Crops each image at random from its reflect-padded self, and mirrors half of the images left to right.

    It takes one gather for rows and one for columns, without a copy of the padded or the mirrored images.

    Args:
        images: uint8 (N, H, W, C).
        seed: int64 (2,).
        padding: pixels at each side.
        flip: whether to mirror.

    Returns:
        Images of the same shape and type.
    """
    batch, height, width = tf.shape(images)[0], images.shape[1], images.shape[2]
    random = uniform((3, batch, 1), seed)
    offsets = tf.cast(tf.floor(random[:2] * (2 * padding + 1)), tf.int32) - padding
    rows = reflect_indices(tf.range(height) + offsets[0], height)
    columns = reflect_indices(tf.range(width) + offsets[1], width)
    if flip:
        columns = tf.where(random[2] < 0.5, tf.reverse(columns, axis=[1]), columns)
    images = tf.gather(images, rows, axis=1, batch_dims=1)
    return tf.gather(images, columns, axis=2, batch_dims=1)


def sample(images: tf.Tensor, rows: tf.Tensor, columns: tf.Tensor) -> tf.Tensor:
    """Resamples images bilinearly; outside of its borders an image is reflected.

    Args:
        images: uint8 (N, H, W, C).
        rows: float32 (N, H, W): where each output pixel comes from, in pixels; 0 is the centre of the first row.
        columns: the same for columns.

    Returns:
        Images of the same shape and type.
    """
    height, width, channels = images.shape[1:]
    top, left = tf.floor(rows), tf.floor(columns)
    lower, right = (rows - top)[..., tf.newaxis], (columns - left)[..., tf.newaxis]
    top, left = tf.cast(top, tf.int32), tf.cast(left, tf.int32)
    row_starts = [reflect_indices(row, height) * width for row in (top, top + 1)]
    in_row = [reflect_indices(column, width) for column in (left, left + 1)]
    pixels = tf.cast(tf.reshape(images, (-1, height * width, channels)), tf.float32)
    upper_left, upper_right, lower_left, lower_right = (
        tf.gather(pixels, start + column, batch_dims=1) for start in row_starts for column in in_row
    )
    upper_row = upper_left + right * (upper_right - upper_left)
    lower_row = lower_left + right * (lower_right - lower_left)
    return tf.cast(tf.round(upper_row + lower * (lower_row - upper_row)), tf.uint8)


def reflect_indices(index: tf.Tensor, size: int) -> tf.Tensor:
    """Reflects indices outside of [0, size) back into it without repeating the border, as NumPy's mode "reflect"."""
    return size - 1 - tf.abs(size - 1 - index % (2 * size - 2))
