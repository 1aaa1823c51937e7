"""RandAugment (Cubuk et al., "RandAugment: Practical automated data augmentation with a reduced search space", 2020).

Each image gets its own random operations, yet the cost per batch is that of a few operations: one blend does colour,
contrast, brightness and sharpness; one table of 256 entries per channel does the other colour operations; and one warp
does the geometric operations of all rounds. Therefore an image's colour operations come before its geometric ones,
whatever the order in which they were drawn, and it is interpolated only once.

In this module, strengths are a dict from the name of each operation to float32 (N,), one strength per image.
"""

import math
from collections.abc import Sequence

import tensorflow as tf

from shiftvit.geometry import sample
from shiftvit.rng import uniform

# Strength of each operation at magnitude 1.
MAX_STRENGTH = {
    "identity": 0.0,
    "autocontrast": 1.0,  # applied in full at any magnitude but 0
    "equalize": 1.0,  # the same
    "posterize": 4.0,  # bits dropped, of 8
    "solarize": 256.0,  # levels inverted, from the brightest down
    "color": 0.9,  # added to or subtracted from the factor 1, like the next three
    "contrast": 0.9,
    "brightness": 0.9,
    "sharpness": 0.9,
    "rotate": math.radians(30),
    "shear_x": 0.3,  # columns per row from the centre
    "shear_y": 0.3,  # rows per column from the centre
    "translate_x": 0.3,  # of the width
    "translate_y": 0.3,  # of the height
}
UNSIGNED = ("identity", "autocontrast", "equalize", "posterize", "solarize")  # the others are negated half of the time
LUMINANCE = (0.299, 0.587, 0.114)  # of red, green and blue (ITU-R BT.601)

Strengths = dict[str, tf.Tensor]


def randaugment(images: tf.Tensor, seed: tf.Tensor, ops: int, magnitude: float) -> tf.Tensor:
    """Applies random operations from MAX_STRENGTH to each image.

    Args:
        images: RGB, uint8 (N, H, W, 3).
        seed: int64 (2,).
        ops: operations per image, drawn with replacement.
        magnitude: share of the maximum strength, from 0, which changes nothing, to 1.

    Returns:
        Images of the same shape and type.
    """
    random = uniform((ops, 2, tf.shape(images)[0]), seed)
    return apply_rounds(images, [sample_strengths(random[k, 0], random[k, 1], magnitude) for k in range(ops)])


def apply_rounds(images: tf.Tensor, rounds: Sequence[Strengths]) -> tf.Tensor:
    """Applies the operations of each round, the geometric ones last."""
    for strengths in rounds:
        images = apply_tables(enhance(images, strengths), strengths)
    return warp(images, rounds) if rounds else images


def sample_strengths(choice: tf.Tensor, sign: tf.Tensor, magnitude: float) -> Strengths:
    """Returns the strengths of a round: for each image, one operation has a strength other than 0.

    Args:
        choice: uniform numbers in [0, 1), float32 (N,), that select the operation.
        sign: uniform numbers in [0, 1), float32 (N,), that select its sign.
        magnitude: share of the maximum strength.
    """
    chosen = tf.cast(tf.floor(choice * len(MAX_STRENGTH)), tf.int32)
    signs = tf.where(sign < 0.5, -1.0, 1.0)
    return {
        name: tf.where(chosen == index, magnitude * strength * (1.0 if name in UNSIGNED else signs), 0.0)
        for index, (name, strength) in enumerate(MAX_STRENGTH.items())
    }


def enhance(images: tf.Tensor, strengths: Strengths) -> tf.Tensor:
    """Changes colour, contrast, brightness and sharpness.

    Each moves the image away from a degenerate one, or towards it if the strength is negative: the grey image, its mean
    grey, black, or the smoothed image.
    """
    color, contrast, brightness, sharpness = (
        tf.reshape(strengths[name], (-1, 1, 1, 1)) for name in ("color", "contrast", "brightness", "sharpness")
    )
    pixels = tf.cast(images, tf.float32)
    grey = tf.linalg.matvec(pixels, LUMINANCE)[..., tf.newaxis]
    mean = tf.reduce_mean(grey, axis=(1, 2), keepdims=True)
    # The sum of pixels + strength * (pixels - degenerate) over the four; all strengths but one are 0.
    enhanced = (1 + color + contrast + brightness) * pixels - (color * grey + contrast * mean)
    enhanced += tf.pad(sharpness * detail(pixels), [[0, 0], [1, 1], [1, 1], [0, 0]])
    return tf.cast(tf.clip_by_value(tf.round(enhanced), 0.0, 255.0), tf.uint8)


def detail(pixels: tf.Tensor) -> tf.Tensor:
    """Returns the difference of the inner pixels from the smoothed image, (N, H - 2, W - 2, C).

    The smoothing kernel is 3 x 3, as Pillow's: 5/13 at the centre, 1/13 around it.
    """
    rows = pixels[:, :-2] + pixels[:, 1:-1] + pixels[:, 2:]
    squares = rows[:, :, :-2] + rows[:, :, 1:-1] + rows[:, :, 2:]
    return (9 * pixels[:, 1:-1, 1:-1] - squares) / 13


def apply_tables(images: tf.Tensor, strengths: Strengths) -> tf.Tensor:
    """Maps each value through the lookup table of its image and channel."""
    channels = images.shape[-1]
    table_starts = tf.range(tf.shape(images)[0] * channels) * 256
    entries = tf.reshape(table_starts, (-1, 1, 1, channels)) + tf.cast(images, tf.int32)
    histogram = tf.math.unsorted_segment_sum(tf.ones_like(entries), entries, tf.size(table_starts) * 256)
    tables = lookup_tables(tf.reshape(histogram, (-1, channels, 256)), strengths)
    return tf.gather(tf.reshape(tf.cast(tables, tf.uint8), [-1]), entries)


def lookup_tables(histograms: tf.Tensor, strengths: Strengths) -> tf.Tensor:
    """Returns the new value of each value, int32 (N, C, 256), given the histograms, int32 (N, C, 256)."""
    autocontrast, equalize, solarize, posterize = (
        tf.reshape(strengths[name], (-1, 1, 1)) for name in ("autocontrast", "equalize", "solarize", "posterize")
    )
    values = tf.range(256)
    present = histograms > 0
    darkest = tf.reduce_min(tf.where(present, values, 255), axis=-1, keepdims=True)
    brightest = tf.reduce_max(tf.where(present, values, 0), axis=-1, keepdims=True)

    table = tf.where(tf.cast(values, tf.float32) >= 256 - solarize, 255 - values, values)
    table -= table % tf.bitwise.left_shift(1, tf.cast(tf.round(posterize), tf.int32))
    stretched = tf.clip_by_value((values - darkest) * 255 // tf.maximum(brightest - darkest, 1), 0, 255)
    table = tf.where((autocontrast != 0) & (brightest > darkest), stretched, table)
    equalized, defined = equalize_tables(histograms, brightest)
    return tf.where((equalize != 0) & defined, equalized, table)


def equalize_tables(histograms: tf.Tensor, brightest: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns the tables of histogram equalisation, (N, C, 256), and for which channels they are defined, (N, C, 1).

    As Pillow does it: every 255th part of the pixels below the brightest value makes a level, and a channel with fewer
    than 255 such pixels stays as it is.
    """
    values = tf.range(256)
    below_brightest = tf.where(values == brightest, 0, histograms)
    step = tf.reduce_sum(below_brightest, axis=-1, keepdims=True) // 255
    cumulative = tf.cumsum(histograms, axis=-1, exclusive=True)
    return tf.minimum((cumulative + step // 2) // tf.maximum(step, 1), 255), step > 0


def warp(images: tf.Tensor, rounds: Sequence[Strengths]) -> tf.Tensor:
    """Rotates, shears and translates images about their centre, for all rounds in one resampling."""
    height, width = images.shape[1:3]
    centre_y, centre_x = (height - 1) / 2, (width - 1) / 2
    y = tf.reshape(tf.range(height, dtype=tf.float32) - centre_y, (1, -1, 1))
    x = tf.reshape(tf.range(width, dtype=tf.float32) - centre_x, (1, 1, -1))
    # From a pixel of the result back through the rounds to where it comes from.
    for strengths in reversed(rounds):
        by = {name: tf.reshape(strength, (-1, 1, 1)) for name, strength in strengths.items()}
        cosine, sine = tf.cos(by["rotate"]), tf.sin(by["rotate"])
        x, y = (
            cosine * x + (by["shear_x"] - sine) * y + by["translate_x"] * width,
            cosine * y + (by["shear_y"] + sine) * x + by["translate_y"] * height,
        )
    return sample(images, y + centre_y, x + centre_x)
