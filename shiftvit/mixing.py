"""Mixup, CutMix and random erasing."""

from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from shiftvit.rng import random_bytes, split, uniform

MIXUP_ALPHA = 0.8  # the weights of blends follow Beta(alpha, alpha)
ERASED_AREA = (0.02, 1 / 3)  # share of the image's area
ERASED_ASPECT = (0.3, 3.3)  # height over width


def mix(
    images: tf.Tensor, labels: tf.Tensor, seed: tf.Tensor, mixup: float, cutmix: float, num_classes: int
) -> tuple[tf.Tensor, tf.Tensor]:
    """Mixes some images with others of their batch by mixup or CutMix, and leaves the rest as they are.

    The other image is a random number of places further on, the same number for the whole batch. A batch of one image
    does not change.

    Args:
        images: uint8 (N, H, W, C).
        labels: class ids, int64 (N,).
        seed: int64 (2,).
        mixup: probability of blending (Zhang et al., "mixup: Beyond Empirical Risk Minimization", 2018).
        cutmix: probability of pasting in a rectangle (Yun et al., "CutMix", 2019). Its area is uniform before it is
            clipped to the image.
        num_classes: of the data.

    Returns:
        Images of the same shape and type, and the shares of the classes in them, float32 (N, num_classes): the weights
        of a blend, the numbers of pixels for a rectangle.
    """
    batch, height, width = tf.shape(images)[0], images.shape[1], images.shape[2]
    random = uniform((6, batch), seed)
    kind, weight, area, row, column = tf.unstack(random[:5])
    others = (tf.range(batch) + 1 + tf.cast(random[5, 0] * tf.cast(batch - 1, tf.float32), tf.int32)) % batch

    sides = tf.sqrt(area)
    pasted = rectangle_masks(row * height, column * width, sides * height, sides * width, height, width)
    kept = tf.where(kind < mixup, beta_quantile(weight), 1.0)[:, tf.newaxis, tf.newaxis]
    kept = tf.where(((kind >= mixup) & (kind < mixup + cutmix))[:, tf.newaxis, tf.newaxis] & pasted, 0.0, kept)
    share = tf.reduce_mean(kept, axis=(1, 2))[:, tf.newaxis]

    own, other = tf.cast(images, tf.float32), tf.cast(tf.gather(images, others), tf.float32)
    mixed = tf.cast(tf.round(other + kept[..., tf.newaxis] * (own - other)), tf.uint8)
    classes = tf.one_hot(labels, num_classes)
    return mixed, share * classes + (1 - share) * tf.gather(classes, others)


def erase(images: tf.Tensor, seed: tf.Tensor, probability: float) -> tf.Tensor:
    """Fills a rectangle of some images with noise (Zhong et al., "Random Erasing Data Augmentation", 2020).

    The rectangle lies completely within the image. Its area is uniform in ERASED_AREA, and the logarithm of its aspect
    ratio is uniform between those of ERASED_ASPECT.

    Args:
        images: uint8 (N, H, W, C), with at most four channels.
        seed: int64 (2,).
        probability: of erasing, for each image.

    Returns:
        Images of the same shape and type.
    """
    batch, (height, width, channels) = tf.shape(images)[0], images.shape[1:]
    rectangle_seed, noise_seed = split(seed, 2)
    chosen, area, aspect, row, column = tf.unstack(uniform((5, batch), rectangle_seed))
    pixels = _lerp(ERASED_AREA, area) * height * width
    aspect = tf.exp(_lerp(np.log(ERASED_ASPECT), aspect))
    heights = tf.clip_by_value(tf.round(tf.sqrt(pixels * aspect)), 1, height)
    widths = tf.clip_by_value(tf.round(tf.sqrt(pixels / aspect)), 1, width)
    top, left = tf.floor(row * (height - heights + 1)), tf.floor(column * (width - widths + 1))
    inside = rectangle_masks(top + heights / 2, left + widths / 2, heights, widths, height, width)
    erased = inside & (chosen < probability)[:, tf.newaxis, tf.newaxis]
    noise = random_bytes((batch, height, width), noise_seed)[..., :channels]
    return tf.where(erased[..., tf.newaxis], noise, images)


def rectangle_masks(
    rows: tf.Tensor, columns: tf.Tensor, heights: tf.Tensor, widths: tf.Tensor, height: int, width: int
) -> tf.Tensor:
    """Returns which pixels have their centre in the rectangle of their image, bool (N, height, width).

    Args:
        rows: of the rectangles' centres, in pixels from the top of the image, float32 (N,).
        columns: the same from the left.
        heights: of the rectangles in pixels, float32 (N,); they may extend beyond the image.
        widths: the same.
        height: of the images.
        width: of the images.
    """
    in_rows = tf.abs(tf.range(height, dtype=tf.float32) + 0.5 - rows[:, tf.newaxis]) * 2 < heights[:, tf.newaxis]
    in_columns = tf.abs(tf.range(width, dtype=tf.float32) + 0.5 - columns[:, tf.newaxis]) * 2 < widths[:, tf.newaxis]
    return in_rows[:, :, tf.newaxis] & in_columns[:, tf.newaxis, :]


def _lerp(bounds: Sequence[float | tf.Tensor] | np.ndarray, part: tf.Tensor) -> tf.Tensor:
    """Interpolates linearly between two bounds; `part` is from 0 to 1."""
    return bounds[0] + part * (bounds[1] - bounds[0])


def beta_quantile(probability: tf.Tensor) -> tf.Tensor:
    """Returns quantiles of Beta(MIXUP_ALPHA, MIXUP_ALPHA), accurate to 1e-3.

    TensorFlow's gamma sampler, the usual way to sample from a beta distribution, cannot be compiled by XLA.
    """
    place = probability * (len(_BETA_QUANTILES) - 1)
    below = tf.minimum(tf.cast(place, tf.int32), len(_BETA_QUANTILES) - 2)
    neighbours = tf.gather(_BETA_QUANTILES, tf.stack([below, below + 1]))
    return _lerp(tf.unstack(neighbours), place - tf.cast(below, tf.float32))


def _tabulate_beta(alpha: float, steps: int = 1000) -> np.ndarray:
    # With x = sin(t)^2 the density has no pole: it is (sin t cos t)^(2 alpha - 1), up to a factor.
    angles = np.linspace(0, np.pi / 2, 100 * steps + 1)
    midpoints = (angles[1:] + angles[:-1]) / 2
    cumulative = np.cumsum((np.sin(midpoints) * np.cos(midpoints)) ** (2 * alpha - 1))
    probabilities = np.concatenate([[0], cumulative / cumulative[-1]])
    return np.interp(np.linspace(0, 1, steps + 1), probabilities, np.sin(angles) ** 2).astype(np.float32)


_BETA_QUANTILES = _tabulate_beta(MIXUP_ALPHA)
