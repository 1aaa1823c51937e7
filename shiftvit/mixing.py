"""Augmentation that gives an image pixels of another one, or of none, and labels to match."""

import numpy as np
import tensorflow as tf

from shiftvit.features import NUM_CLASSES
from shiftvit.rng import fractions, random_bytes, split

MIXUP_ALPHA = 0.8  # of the Beta(alpha, alpha) distribution of weights
ERASED_AREA = (0.02, 1 / 3)  # of the image's
ERASED_ASPECT = (0.3, 3.3)  # height over width


def mix(images, labels, seed, mixup: float, cutmix: float):
    """Blends some images with others of their batch, pastes rectangles of others into some, and leaves the rest.

    The partner of each image is the one a drawn number of places further on, the same number for the whole batch. A
    batch of one stays as it is.

    Args:
        images: uint8 (N, H, W, C).
        labels: int64 (N,), class ids.
        seed: int64 (2,).
        mixup: probability that an image is blended (Zhang et al., "mixup: Beyond Empirical Risk Minimization", 2018).
        cutmix: probability that a rectangle of it is the partner's (Yun et al., "CutMix", 2019), of an area that is
            uniform before it is clipped to the image.

    Returns:
        The images, and the share of each class in them, float32 (N, NUM_CLASSES): for a blend by its weight, for a
        rectangle by its pixels.
    """
    batch, height, width = tf.shape(images)[0], images.shape[1], images.shape[2]
    draws = fractions((6, batch), seed)
    kind, weight, area, row, column = tf.unstack(draws[:5])
    others = (tf.range(batch) + 1 + tf.cast(draws[5, 0] * tf.cast(batch - 1, tf.float32), tf.int32)) % batch

    sides = tf.sqrt(area)
    pasted = rectangles(row * height, column * width, sides * height, sides * width, height, width)
    kept = tf.where(kind < mixup, beta_quantiles(weight), 1.0)[:, tf.newaxis, tf.newaxis]
    kept = tf.where(((kind >= mixup) & (kind < mixup + cutmix))[:, tf.newaxis, tf.newaxis] & pasted, 0.0, kept)
    share = tf.reduce_mean(kept, axis=(1, 2))[:, tf.newaxis]

    own, other = tf.cast(images, tf.float32), tf.cast(tf.gather(images, others), tf.float32)
    mixed = tf.cast(tf.round(other + kept[..., tf.newaxis] * (own - other)), tf.uint8)
    classes = tf.one_hot(labels, NUM_CLASSES)
    return mixed, share * classes + (1 - share) * tf.gather(classes, others)


def erase(images, seed, probability: float):
    """Fills a rectangle of some images with noise (Zhong et al., "Random Erasing Data Augmentation", 2020).

    Args:
        images: uint8 (N, H, W, C), of at most four channels.
        seed: int64 (2,).
        probability: that an image is treated; its rectangle, wholly within it, is of a uniform area in ERASED_AREA, and
            of an aspect in ERASED_ASPECT whose logarithm is uniform.
    """
    batch, (height, width, channels) = tf.shape(images)[0], images.shape[1:]
    where, what = split(seed, 2)
    treated, area, aspect, row, column = tf.unstack(fractions((5, batch), where))
    pixels = between(ERASED_AREA, area) * height * width
    aspect = tf.exp(between(np.log(ERASED_ASPECT), aspect))
    tall = tf.clip_by_value(tf.round(tf.sqrt(pixels * aspect)), 1, height)
    wide = tf.clip_by_value(tf.round(tf.sqrt(pixels / aspect)), 1, width)
    top, left = tf.floor(row * (height - tall + 1)), tf.floor(column * (width - wide + 1))
    inside = rectangles(top + tall / 2, left + wide / 2, tall, wide, height, width)
    erased = inside & (treated < probability)[:, tf.newaxis, tf.newaxis]
    noise = random_bytes((batch, height, width), what)[..., :channels]
    return tf.where(erased[..., tf.newaxis], noise, images)


def rectangles(rows, columns, tall, wide, height: int, width: int):
    """Returns which pixels have their centre in the rectangle of each image, bool (N, height, width).

    Args:
        rows: float32 (N,), of the rectangles' centres, in pixels from the top of the image.
        columns: the same, from the left.
        tall: float32 (N,), their heights in pixels; what reaches over the image's border is cut off.
        wide: the same, their widths.
        height: of the images.
        width: of the images.
    """
    across = tf.abs(tf.range(height, dtype=tf.float32) + 0.5 - rows[:, tf.newaxis]) * 2 < tall[:, tf.newaxis]
    along = tf.abs(tf.range(width, dtype=tf.float32) + 0.5 - columns[:, tf.newaxis]) * 2 < wide[:, tf.newaxis]
    return across[:, :, tf.newaxis] & along[:, tf.newaxis, :]


def between(bounds, part):
    """Returns the value that lies at `part`, from 0 to 1, of the way from the first bound to the second."""
    return bounds[0] + part * (bounds[1] - bounds[0])


def beta_quantiles(part):
    """Returns the quantiles of Beta(MIXUP_ALPHA, MIXUP_ALPHA) at `part`, from 0 to 1, to within 1e-3.

    TensorFlow's own draws from a gamma distribution, of which a beta's are made, cannot be compiled by XLA.
    """
    place = part * (len(_BETA_QUANTILES) - 1)
    below = tf.minimum(tf.cast(place, tf.int32), len(_BETA_QUANTILES) - 2)
    steps = tf.gather(_BETA_QUANTILES, tf.stack([below, below + 1]))
    return between(tf.unstack(steps), place - tf.cast(below, tf.float32))


def _tabulate_beta(alpha: float, steps: int = 1000) -> np.ndarray:
    # With x = sin(t)^2 the density has no pole: it is (sin t cos t)^(2 alpha - 1), up to a factor.
    angles = np.linspace(0, np.pi / 2, 100 * steps + 1)
    middles = (angles[1:] + angles[:-1]) / 2
    summed = np.cumsum((np.sin(middles) * np.cos(middles)) ** (2 * alpha - 1))
    reached = np.concatenate([[0], summed / summed[-1]])
    return np.interp(np.linspace(0, 1, steps + 1), reached, np.sin(angles) ** 2).astype(np.float32)


_BETA_QUANTILES = _tabulate_beta(MIXUP_ALPHA)
