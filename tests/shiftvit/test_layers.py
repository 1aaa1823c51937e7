import math

import numpy as np
import official
import pytest
import tensorflow as tf

from shiftvit import layers, model
from shiftvit.layers import (
    MLP,
    BatchNorm,
    DropPath,
    GroupNorm1,
    PatchConv,
    Shift,
    ShiftBlock,
    drop_path_rates,
    make_norm,
)

BFLOAT16 = tf.keras.mixed_precision.Policy("mixed_bfloat16")


def published_shift(x: np.ndarray, n_div: int, pixels: int = 1) -> np.ndarray:
    """The published shift in NumPy, for (N, H, W, C)."""
    group, out = x.shape[-1] // n_div, x.copy()
    out[..., : 4 * group] = 0
    left, right, up, down = (slice(k * group, (k + 1) * group) for k in range(4))
    out[:, :, :-pixels, left] = x[:, :, pixels:, left]
    out[:, :, pixels:, right] = x[:, :, :-pixels, right]
    out[:, :-pixels, :, up] = x[:, pixels:, :, up]
    out[:, pixels:, :, down] = x[:, :-pixels, :, down]
    return out


def draw(shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def with_random_weights(layer, x):
    """Builds the layer for x and sets random weights; returns it."""
    layer(x)
    layer.set_weights([draw(weight.shape, seed) / 2 for seed, weight in enumerate(layer.weights, start=7)])
    return layer


@pytest.mark.parametrize("pixels", [1, 2])
@pytest.mark.parametrize("channels, n_div", [(24, 12), (33, 10), (8, 4), (19, 8)])
def test_shift_moves_channel_groups(channels, n_div, pixels):
    x = draw((2, 5, 7, channels))

    np.testing.assert_array_equal(Shift(n_div, pixels)(x), published_shift(x, n_div, pixels))


@pytest.mark.parametrize("name", ["shift_div12", "shift_div10_remainder"])
def test_shift_equals_the_official_code(name):
    x, n_div, expected = official.load_shift(name)

    np.testing.assert_array_equal(Shift(n_div)(x), expected)


def test_shift_by_zero_pixels_is_the_identity():
    x = draw((2, 5, 7, 24))

    np.testing.assert_array_equal(Shift(12, pixels=0)(x), x)


@pytest.mark.parametrize("pixels", [1, 2])
def test_shift_has_the_gradient_of_the_opposite_shift(pixels):
    x, weights = tf.constant(draw((1, 4, 4, 10))), draw((1, 4, 4, 10), seed=1)
    with tf.GradientTape() as tape:
        tape.watch(x)
        total = tf.reduce_sum(Shift(4, pixels)(x) * weights)

    # Each direction's adjoint is the opposite direction: swap left with right and up with down.
    swapped = [2, 3, 0, 1, 6, 7, 4, 5, 8, 9]
    expected = published_shift(weights[..., swapped], 4, pixels)[..., swapped]
    np.testing.assert_array_equal(tape.gradient(total, x), expected)


def test_shift_is_exact_in_bfloat16():
    x = tf.cast(draw((2, 5, 7, 24)), tf.bfloat16)

    y = Shift(12, dtype=BFLOAT16)(x)

    assert y.dtype == tf.bfloat16
    np.testing.assert_array_equal(tf.cast(y, tf.float32), published_shift(tf.cast(x, tf.float32).numpy(), 12))


def published_group_norm(x, gamma, beta):
    x = x.astype(np.float64)
    mean, variance = (f(x, axis=(1, 2, 3), keepdims=True) for f in (np.mean, np.var))
    return (x - mean) / np.sqrt(variance + 1e-5) * gamma + beta


@pytest.mark.parametrize("fused", [False, True])
@pytest.mark.parametrize("dtype, tolerance", [("float32", 1e-5), ("bfloat16", 0.04)])
def test_group_norm_is_over_each_whole_image(dtype, tolerance, fused):
    scale_of_image = np.array([1, 10, 0.01], np.float32)[:, None, None, None]
    x = tf.cast(draw((3, 6, 5, 8)) * scale_of_image + scale_of_image, dtype)
    norm = with_random_weights(GroupNorm1(fused), x)

    y = norm(x)

    assert y.dtype == x.dtype
    expected = published_group_norm(tf.cast(x, tf.float32).numpy(), *norm.get_weights())
    np.testing.assert_allclose(tf.cast(y, tf.float32), expected, atol=tolerance)


PLAIN_ACTIVATIONS = {
    "gelu": lambda x: x * (1 + np.vectorize(math.erf)(x / math.sqrt(2))) / 2,
    "silu": lambda x: x / (1 + np.exp(-x)),
    "relu": lambda x: np.maximum(x, 0),
}


@pytest.mark.parametrize("fused", [False, True])
@pytest.mark.parametrize("activation", PLAIN_ACTIVATIONS)
def test_mlp_is_two_dense_layers_with_an_activation_between(activation, fused):
    x = draw((2, 3, 5, 6))
    mlp = with_random_weights(MLP(14, activation, fused=fused), x)
    expand_kernel, expand_bias, project_kernel, project_bias = mlp.get_weights()

    hidden = PLAIN_ACTIVATIONS[activation](x.astype(np.float64) @ expand_kernel + expand_bias)

    np.testing.assert_allclose(mlp(x), hidden @ project_kernel + project_bias, atol=1e-5)


def test_mlp_dropout_follows_each_dense_layer_in_training_only():
    x = draw((4, 8, 8, 16))
    mlp = with_random_weights(MLP(16, dropout=0.5), x)
    mlp.project_kernel.assign(np.eye(16))
    mlp.project_bias.assign(np.zeros(16))

    training, otherwise = (np.mean(mlp(x, training=each).numpy() == 0) for each in (True, False))

    assert 0.72 < training < 0.78  # half of the hidden values, and half of what is left
    assert otherwise < 0.02  # where the activation is zero


@pytest.mark.parametrize("use_bias", [True, False])
@pytest.mark.parametrize("height, width, size", [(8, 8, 4), (6, 4, 2), (5, 7, 2), (3, 3, 2), (10, 9, 3), (5, 4, 1)])
def test_patch_conv_leaves_out_what_fills_no_patch_as_a_strided_convolution_does(height, width, size, use_bias):
    x = draw((2, height, width, 3))
    patches = with_random_weights(PatchConv(5, size, use_bias), x)

    expected = tf.nn.conv2d(x, patches.kernel, size, "VALID") + (patches.bias if use_bias else 0)

    np.testing.assert_allclose(patches(x), expected, atol=1e-5)


@pytest.mark.parametrize("use_bias", [True, False])
@pytest.mark.parametrize("height, width, size", [(8, 8, 4), (6, 4, 2), (5, 7, 2), (3, 3, 2), (10, 9, 3), (5, 4, 1)])
def test_patch_conv_with_padding_equals_a_strided_convolution(height, width, size, use_bias):
    x = draw((2, height, width, 3))
    patches = with_random_weights(PatchConv(5, size, use_bias, pad=True), x)

    # Zeros at the bottom and on the right; SAME padding would put some on the left for patches of three.
    padded = np.pad(x, ((0, 0), (0, -height % size), (0, -width % size), (0, 0)))
    expected = tf.nn.conv2d(padded, patches.kernel, size, "VALID") + (patches.bias if use_bias else 0)

    np.testing.assert_allclose(patches(x), expected, atol=1e-5)


@pytest.mark.parametrize("height, width", [(5, 7), (3, 3), (8, 8)])
def test_patch_conv_of_size_two_pads_odd_sides_as_a_convolution_does(height, width):
    x = draw((2, height, width, 3))
    patches = with_random_weights(PatchConv(5, 2, use_bias=False, pad=True), x)

    np.testing.assert_allclose(patches(x), tf.nn.conv2d(x, patches.kernel, 2, "SAME"), atol=1e-5)


def test_drop_path_drops_whole_images_and_keeps_the_expectation():
    tf.random.set_seed(0)
    y = DropPath(0.25)(tf.ones((4000, 2, 2, 3)), training=True).numpy().reshape(4000, -1)

    assert (y == y[:, :1]).all(), "an image was partly dropped"
    np.testing.assert_allclose(np.unique(y), [0, 1 / 0.75])
    assert abs(y.mean() - 1) < 0.03


@pytest.mark.parametrize("rate, training", [(0.9, False), (0.9, None), (0.0, True)])
def test_drop_path_is_off_at_inference_and_at_rate_zero(rate, training):
    x = draw((50, 2, 2, 3))

    np.testing.assert_array_equal(DropPath(rate)(x, training=training), x)


def test_drop_path_increases_linearly_over_the_whole_depth():
    rates = drop_path_rates(0.3, (1, 2, 4))

    assert [len(stage) for stage in rates] == [1, 2, 4]
    np.testing.assert_allclose(np.concatenate(rates), [0, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3])


def test_batch_norm_has_pytorchs_momentum():
    norm = make_norm("batch", "norm", "float32", fused=False)
    norm(np.full((2, 3, 3, 4), 5.0, np.float32), training=True)

    np.testing.assert_allclose(norm.moving_mean, 0.5)


def test_batch_norm_from_its_config_is_still_synchronized():
    assert BatchNorm.from_config(BatchNorm().get_config()).synchronized


def test_a_dropped_block_still_shifts():
    x = draw((8, 4, 4, 12))
    block = with_random_weights(ShiftBlock(4, 1, 24, "group1", "gelu", drop_path=0.999999), x)

    np.testing.assert_array_equal(block(x, training=True), published_shift(x, 4))
    assert np.abs(block(x, training=False) - published_shift(x, 4)).max() > 0.1


def test_a_frozen_block_computes_in_training_as_at_inference():
    x = draw((8, 4, 4, 12))
    block = with_random_weights(ShiftBlock(4, 1, 24, "group1", "gelu", dropout=0.5, drop_path=0.5), x)
    assert np.abs(block(x, training=True) - block(x, training=False)).max() > 0.1

    block.trainable = False

    np.testing.assert_array_equal(block(x, training=True), block(x, training=False))


def test_kernels_are_initialised_as_published_and_biases_to_zero():
    tf.keras.utils.set_random_seed(0)
    mlp = MLP(512)
    mlp.build((None, 4, 4, 256))

    assert np.std(mlp.expand_kernel) == pytest.approx(0.02, rel=0.02)  # Keras' truncated normal has 0.0176
    assert not np.any(mlp.expand_bias) and not np.any(mlp.project_bias)


IMAGES = np.random.default_rng(0).integers(0, 256, (2, 8, 8, 3), np.uint8)
EVERY_LAYER = {
    Shift: (Shift(5, 2), draw((2, 6, 6, 12))),
    GroupNorm1: (GroupNorm1(fused=True), draw((2, 6, 6, 12))),
    BatchNorm: (BatchNorm(momentum=0.8), np.abs(draw((2, 6, 6, 12)))),
    DropPath: (DropPath(0.3), draw((2, 6, 6, 12))),
    MLP: (MLP(10, "silu", 0.3, fused=True), draw((2, 6, 6, 12))),
    PatchConv: (PatchConv(5, 4, use_bias=False, pad=True), draw((2, 6, 6, 12))),
    ShiftBlock: (ShiftBlock(5, 2, 10, "layer", "relu", 0.3, 0.2), draw((2, 6, 6, 12))),
    model.Normalise: (model.Normalise(12, (0.4, 0.5, 0.6), (0.1, 0.2, 0.3)), IMAGES),
    model.AppendMirrored: (model.AppendMirrored(dtype="uint8"), IMAGES),
    model.AverageMirrored: (model.AverageMirrored(), draw((4, 3))),
}


def test_every_layer_is_in_the_test_below():
    of_ours = [value for module in (layers, model) for value in vars(module).values() if isinstance(value, type)]

    assert {kind for kind in of_ours if issubclass(kind, tf.keras.layers.Layer)} == set(EVERY_LAYER)


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("policy", ["float32", "mixed_bfloat16"])
@pytest.mark.parametrize("kind", EVERY_LAYER)
def test_a_layer_from_its_config_computes_the_same(kind, policy, training):
    layer, x = EVERY_LAYER[kind]
    if policy != "float32" and kind is not model.AppendMirrored:
        layer = kind.from_config(layer.get_config() | {"dtype": "mixed_bfloat16"})
    layer = with_random_weights(layer, x)

    again = tf.keras.layers.deserialize(tf.keras.layers.serialize(layer))  # finds the class by its registered name
    again(x)
    again.set_weights(layer.get_weights())

    assert type(again) is kind and again.get_config() == layer.get_config()
    outputs = []
    for each in (layer, again):
        tf.keras.utils.set_random_seed(0)
        outputs.append(each(x, **({"training": training} if each._expects_training_arg else {})))
    assert outputs[0].dtype == outputs[1].dtype
    np.testing.assert_array_equal(*(tf.cast(output, tf.float32) for output in outputs))


def test_initial_kernels_have_the_published_deviation():
    kernel = layers.kernel_initializer()((400, 400)).numpy()

    assert kernel.std() == pytest.approx(0.02, rel=0.02), "Keras's truncated normal would have 0.0176"
