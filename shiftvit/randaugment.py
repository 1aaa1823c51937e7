"""RandAugment (Cubuk et al., "RandAugment: Practical automated data augmentation with a reduced search space", 2020).

Every image gets its own operations, at the cost of a few for all: the four that move colours towards or away from
something are one blend, the four others of colour are tables of 256 entries, and all movements of all rounds are one
warp. So the colour operations of an image come before its movements, whatever the order of the draw, and the image
is interpolated once.
"""

import math

import tensorflow as tf

from shiftvit.geometry import sample
from shiftvit.rng import fractions

# Each operation and its strength at magnitude 1.
GREATEST = {
    "identity": 0.0,
    "autocontrast": 1.0,  # done whole at any magnitude but 0
    "equalize": 1.0,  # the same
    "posterize": 4.0,  # bits dropped, of 8
    "solarize": 256.0,  # levels inverted, from the brightest down
    "color": 0.9,  # added to the factor 1, or taken from it, as for the three below
    "contrast": 0.9,
    "brightness": 0.9,
    "sharpness": 0.9,
    "rotate": math.radians(30),
    "shear_x": 0.3,  # columns for each row away from the centre
    "shear_y": 0.3,  # rows for each column away from the centre
    "translate_x": 0.3,  # of the width
    "translate_y": 0.3,  # of the height
}
UNSIGNED = ("identity", "autocontrast", "equalize", "posterize", "solarize")  # of the others, half are negative
LUMINANCE = (0.299, 0.587, 0.114)  # of red, green and blue: ITU-R BT.601


def randaugment(images, seed, ops: int, magnitude: float):
    """Applies to each image `ops` operations drawn from GREATEST, each at `magnitude` of its greatest strength.

    Args:
        images: uint8 (N, H, W, 3), red, green, blue.
        seed: int64 (2,).
        ops: operations for each image; the same one may be drawn again.
        magnitude: from 0, which leaves the images as they are, to 1.
    """
    draws = fractions((ops, 2, tf.shape(images)[0]), seed)
    return distort(images, [drawn_strengths(*tf.unstack(draws[k]), magnitude) for k in range(ops)])


def distort(images, rounds):
    """Applies operations of given strengths: for each round, a table as `drawn_strengths` returns it."""
    for strengths in rounds:
        images = look_up(enhance(images, strengths), strengths)
    return warp(images, rounds) if rounds else images


def drawn_strengths(choice, side, magnitude: float):
    """Returns, for each operation, its strength for each image, (N,); it is 0 but for the one that is drawn.

    choice: float32 (N,) in [0, 1), which operation. side: the same, which sign.
    """
    drawn = tf.cast(tf.floor(choice * len(GREATEST)), tf.int32)
    signs = tf.where(side < 0.5, -1.0, 1.0)
    return {
        name: tf.where(drawn == number, magnitude * greatest * (1.0 if name in UNSIGNED else signs), 0.0)
        for number, (name, greatest) in enumerate(GREATEST.items())
    }


def enhance(images, strengths):
    """Moves the colours of images away from a plainer image (strength > 0) or towards it (< 0).

    The plainer image of `color` is grey, of `contrast` the mean grey, of `brightness` black, of `sharpness` smoothed.
    """
    color, contrast, brightness, sharpness = (
        tf.reshape(strengths[name], (-1, 1, 1, 1)) for name in ("color", "contrast", "brightness", "sharpness")
    )
    pixels = tf.cast(images, tf.float32)
    grey = tf.linalg.matvec(pixels, LUMINANCE)[..., tf.newaxis]
    mean = tf.reduce_mean(grey, axis=(1, 2), keepdims=True)
    # pixels + strength * (pixels - plain), summed over the four; all but one strength are 0.
    enhanced = (1 + color + contrast + brightness) * pixels - (color * grey + contrast * mean)
    enhanced += tf.pad(sharpness * detail(pixels), [[0, 0], [1, 1], [1, 1], [0, 0]])
    return tf.cast(tf.clip_by_value(tf.round(enhanced), 0.0, 255.0), tf.uint8)


def detail(pixels):
    """Returns by how much each pixel but the border's differs from its smoothed self, (N, H - 2, W - 2, C).

    Smoothed is the average with the eight neighbours, itself with weight 5 of 13.
    """
    rows = pixels[:, :-2] + pixels[:, 1:-1] + pixels[:, 2:]
    squares = rows[:, :, :-2] + rows[:, :, 1:-1] + rows[:, :, 2:]
    return (9 * pixels[:, 1:-1, 1:-1] - squares) / 13


def look_up(images, strengths):
    """Replaces each value by another, by a table of 256 for each image and channel."""
    channels = images.shape[-1]
    tables = tf.range(tf.shape(images)[0] * channels) * 256
    places = tf.reshape(tables, (-1, 1, 1, channels)) + tf.cast(images, tf.int32)
    counts = tf.math.unsorted_segment_sum(tf.ones_like(places), places, tf.size(tables) * 256)
    table = value_tables(tf.reshape(counts, (-1, channels, 256)), strengths)
    return tf.gather(tf.reshape(tf.cast(table, tf.uint8), [-1]), places)


def value_tables(counts, strengths):
    """Returns what each value of each image and channel becomes, int32 (N, C, 256), given how often it occurs."""
    autocontrast, equalize, solarize, posterize = (
        tf.reshape(strengths[name], (-1, 1, 1)) for name in ("autocontrast", "equalize", "solarize", "posterize")
    )
    values = tf.range(256)
    occurring = counts > 0
    darkest = tf.reduce_min(tf.where(occurring, values, 255), axis=-1, keepdims=True)
    brightest = tf.reduce_max(tf.where(occurring, values, 0), axis=-1, keepdims=True)

    table = tf.where(tf.cast(values, tf.float32) >= 256 - solarize, 255 - values, values)
    table -= table % tf.bitwise.left_shift(1, tf.cast(tf.round(posterize), tf.int32))
    stretched = tf.clip_by_value((values - darkest) * 255 // tf.maximum(brightest - darkest, 1), 0, 255)
    table = tf.where((autocontrast != 0) & (brightest > darkest), stretched, table)
    levelled, possible = equalized(counts, brightest)
    return tf.where((equalize != 0) & possible, levelled, table)


def equalized(counts, brightest):
    """Returns the tables that make all levels about as frequent, and for which channels there is one, (N, C, 1).

    As Pillow does it: the brightest value is left out, and each 255th of the other pixels is one level; a channel with
    fewer than 255 of them has no table.
    """
    values = tf.range(256)
    counted = tf.where(values == brightest, 0, counts)
    step = tf.reduce_sum(counted, axis=-1, keepdims=True) // 255
    divisor = tf.maximum(step, 1)
    below = tf.cumsum(counts, axis=-1, exclusive=True)
    return tf.minimum((below + step // 2) // divisor, 255), step > 0


def warp(images, rounds):
    """Rotates, shears and translates images about their centre, by the strengths of each round, in one resampling."""
    height, width = images.shape[1:3]
    centre_y, centre_x = (height - 1) / 2, (width - 1) / 2
    y = tf.reshape(tf.range(height, dtype=tf.float32) - centre_y, (1, -1, 1))
    x = tf.reshape(tf.range(width, dtype=tf.float32) - centre_x, (1, 1, -1))
    # From a pixel of the result back to where the first round takes it from.
    for strengths in reversed(rounds):
        by = {name: tf.reshape(strength, (-1, 1, 1)) for name, strength in strengths.items()}
        cosine, sine = tf.cos(by["rotate"]), tf.sin(by["rotate"])
        x, y = (
            cosine * x + (by["shear_x"] - sine) * y + by["translate_x"] * width,
            cosine * y + (by["shear_y"] + sine) * x + by["translate_y"] * height,
        )
    return sample(images, y + centre_y, x + centre_x)
