from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from shiftvit.layers import DropPath, GroupNorm1, Shift, drop_path_rates

OFFICIAL_SHIFT = Path(__file__).with_name("data") / "shift_div10_remainder.npz"


def published_shift(x: np.ndarray, n_div: int) -> np.ndarray:
    """The rule in NumPy, on (N, H, W, C): group by group left, right, up, down; zeros enter; the rest stays."""
    group, out = x.shape[-1] // n_div, x.copy()
    out[..., : 4 * group] = 0
    left, right, up, down = (slice(k * group, (k + 1) * group) for k in range(4))
    out[:, :, :-1, left] = x[:, :, 1:, left]
    out[:, :, 1:, right] = x[:, :, :-1, right]
    out[:, :-1, :, up] = x[:, 1:, :, up]
    out[:, 1:, :, down] = x[:, :-1, :, down]
    return out


def draw(shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


@pytest.mark.parametrize("channels, n_div", [(24, 12), (33, 10), (8, 4), (19, 8)])
def test_shift_moves_whole_groups_by_one_pixel(channels, n_div):
    x = draw((2, 5, 7, channels))

    np.testing.assert_array_equal(Shift(n_div)(x), published_shift(x, n_div))


def test_shift_is_the_official_one():
    with np.load(OFFICIAL_SHIFT) as vectors:
        x, n_div, expected = (vectors[name] for name in ("input_nchw", "n_div", "output_nchw"))

    np.testing.assert_array_equal(Shift(int(n_div))(x.transpose(0, 2, 3, 1)), expected.transpose(0, 2, 3, 1))


def test_shift_sends_the_gradient_back_to_where_pixels_came_from():
    x, weights = tf.constant(draw((1, 4, 4, 10))), draw((1, 4, 4, 10), seed=1)
    with tf.GradientTape() as tape:
        tape.watch(x)
        total = tf.reduce_sum(Shift(4)(x) * weights)

    # Each direction's adjoint is the opposite direction: swap left with right and up with down.
    swapped = [2, 3, 0, 1, 6, 7, 4, 5, 8, 9]
    expected = published_shift(weights[..., swapped], 4)[..., swapped]
    np.testing.assert_array_equal(tape.gradient(total, x), expected)


def published_group_norm(x, gamma, beta):
    x = x.astype(np.float64)
    mean, variance = (f(x, axis=(1, 2, 3), keepdims=True) for f in (np.mean, np.var))
    return (x - mean) / np.sqrt(variance + 1e-5) * gamma + beta


@pytest.mark.parametrize("dtype, tolerance", [("float32", 1e-5), ("mixed_bfloat16", 0.04)])
def test_group_norm_is_over_the_whole_of_each_image(dtype, tolerance):
    scale_of_image = np.array([1, 10, 0.01], np.float32)[:, None, None, None]
    x = draw((3, 6, 5, 8)) * scale_of_image + scale_of_image
    norm = GroupNorm1(dtype=tf.keras.mixed_precision.Policy(dtype))
    norm(x)  # makes the weights
    gamma, beta = draw(8, 1), draw(8, 2)
    norm.set_weights([gamma, beta])

    y = norm(x)

    assert y.dtype == norm.compute_dtype
    np.testing.assert_allclose(tf.cast(y, tf.float32), published_group_norm(x, gamma, beta), atol=tolerance)


def test_drop_path_drops_whole_images_and_keeps_the_expectation():
    tf.random.set_seed(0)
    y = DropPath(0.25)(tf.ones((4000, 2, 2, 3)), training=True).numpy().reshape(4000, -1)

    assert (y == y[:, :1]).all(), "an image was dropped in part"
    np.testing.assert_allclose(np.unique(y), [0, 1 / 0.75])
    assert abs(y.mean() - 1) < 0.03


@pytest.mark.parametrize("rate, training", [(0.9, False), (0.9, None), (0.0, True)])
def test_drop_path_is_off_at_inference_and_at_rate_zero(rate, training):
    x = draw((50, 2, 2, 3))

    np.testing.assert_array_equal(DropPath(rate)(x, training=training), x)


def test_drop_path_grows_linearly_over_the_whole_depth():
    rates = drop_path_rates(0.3, (1, 2, 4))

    assert [len(stage) for stage in rates] == [1, 2, 4]
    np.testing.assert_allclose(np.concatenate(rates), [0, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3])
