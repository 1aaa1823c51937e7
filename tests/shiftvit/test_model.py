import numpy as np
import official
import pytest
import tensorflow as tf
from known_data import CIFAR10

from shiftvit.config import ModelConfig
from shiftvit.model import Normalise, build_model, build_network
from shiftvit.official_weights import load_official

TINY = ModelConfig(
    image_size=32, num_classes=10, patch_size=4, dims=(16, 32), depths=(1, 2), n_div=8, drop_path=0.2, dropout=0.1
)
OFFICIAL = ["shiftvit_gn1_gelu", "shiftvit_gn1_div8_patch2", "shiftvit_bn_relu"]


def changed(**leaves):
    return ModelConfig(**{**vars(TINY), **leaves})


def draw_images(count, size=32):
    return np.random.default_rng(0).integers(0, 256, (count, size, size, 3), np.uint8)


def draw_weights(model):
    """Sets every weight to a value other than its initial one; all are positive, as variances must be."""
    rng = np.random.default_rng(1)
    model.set_weights([rng.uniform(0.05, 0.3, weight.shape) for weight in model.weights])
    return model


def relative_error(found, expected):
    found = tf.cast(found, tf.float32).numpy()
    return np.linalg.norm(found - expected) / np.linalg.norm(expected)


def compute(vectors, precision, fused, training):
    """Runs our network on the official images; returns features, logits, and gradients of images and weights.

    The gradients are of the sum of the squared logits.
    """
    network = build_network(vectors.config, precision, fused)
    load_official(network, vectors.weights)
    features = [network.get_layer(layer).output for layer in vectors.features]
    images = tf.constant(vectors.images)
    with tf.GradientTape() as tape:
        tape.watch(images)
        *features, logits = tf.keras.Model(network.input, [*features, network.output])(images, training=training)
        total = tf.reduce_sum(logits**2)
    to_images, *to_weights = tape.gradient(total, [images, *network.trainable_variables])
    return features, logits, to_images, to_weights


@pytest.mark.parametrize("fused, training", [(False, False), (True, False), (True, True)])
@pytest.mark.parametrize("name", [*OFFICIAL, "shiftvit_odd_maps"])
def test_features_logits_and_gradients_equal_the_official_code(name, fused, training):
    vectors = official.load_vectors(name)
    # The vectors are of inference: a batch norm in training takes the batch's statistics instead of its own.
    training = training and vectors.config.norm != "batch"

    features, logits, to_images, _ = compute(vectors, "float32", fused, training)

    for layer, feature in zip(vectors.features, features, strict=True):
        assert relative_error(feature, vectors.features[layer]) < 1e-4, layer
    assert relative_error(logits, vectors.logits) < 1e-4
    assert relative_error(to_images, vectors.gradient) < 1e-4


@pytest.mark.parametrize("fused", [False, True])
@pytest.mark.parametrize("name", OFFICIAL)
def test_bfloat16_equals_the_official_code_up_to_rounding(name, fused):
    vectors = official.load_vectors(name)

    features, logits, to_images, _ = compute(vectors, "mixed_bfloat16", fused, training=False)

    # One rounding to eight significant bits is off by up to u = 2^-8, in the mean square by about 0.4 u. The some
    # thirty roundings of these networks, independent of each other, add up to 0.4 * sqrt(30) = 2.2 u, and those on
    # the way forward and back to 3.1 u.
    rounding = 2**-8
    for layer, feature in zip(vectors.features, features, strict=True):
        assert relative_error(feature, vectors.features[layer]) < 3 * rounding, layer
    assert rounding / 10 < relative_error(logits, vectors.logits) < 3 * rounding
    assert rounding / 10 < relative_error(to_images, vectors.gradient) < 4 * rounding


@pytest.mark.parametrize("name", OFFICIAL)
def test_the_fused_network_has_the_same_weight_gradients(name):
    vectors = official.load_vectors(name)

    *_, plain = compute(vectors, "float32", fused=False, training=False)
    *_, fused = compute(vectors, "float32", fused=True, training=vectors.config.norm != "batch")

    for one, other in zip(fused, plain, strict=True):
        assert relative_error(one, other.numpy()) < 1e-5


@pytest.mark.parametrize("precision", ["float32", "mixed_bfloat16"])
def test_the_model_maps_stored_images_to_float32_logits(precision):
    model = build_model(TINY, CIFAR10, precision)
    logits = model(tf.zeros((2, 32, 32, 3), tf.uint8))

    assert model.input.dtype == tf.uint8 and logits.dtype == tf.float32 and logits.shape == (2, 10)
    assert {weight.dtype for weight in model.weights} == {tf.float32}


def test_blocks_compute_in_bfloat16_under_that_policy():
    network = build_network(TINY, "mixed_bfloat16")

    block = network.get_layer("stage1_block0")
    maps = (network.get_layer(name).output for name in ("stem", "stem_norm", "stage0_block0", "merge1", "norm"))
    assert {layer.compute_dtype for layer in (block, block.shift, block.mlp)} == {"bfloat16"}
    assert {each.dtype for each in maps} == {tf.bfloat16}
    assert {network.get_layer(name).output.dtype for name in ("pool", "head")} == {tf.float32}


def test_pixels_are_standardised_with_the_training_sets_statistics():
    mean, deviation = 255 * np.array([0.4914, 0.4822, 0.4465]), 255 * np.array([0.2470, 0.2435, 0.2616])
    image = draw_images(1)

    np.testing.assert_allclose(
        Normalise(32, CIFAR10.pixel_mean, CIFAR10.pixel_std)(image), (image - mean) / deviation, rtol=1e-4, atol=1e-5
    )


def test_images_are_resized_to_the_networks_size():
    halves = np.zeros((1, 32, 32, 3), np.uint8)
    halves[:, :, 16:] = 255

    large = Normalise(48, CIFAR10.pixel_mean, CIFAR10.pixel_std)(halves).numpy()

    assert large.shape == (1, 48, 48, 3)
    assert (large[:, :, :23] == large[0, 0, 0]).all() and (large[:, :, 25:] == large[0, 0, -1]).all()


@pytest.mark.parametrize("pad, side", [(True, 2), (False, 1)])
def test_a_map_of_odd_size_is_filled_up_or_cut_off(pad, side):
    config = ModelConfig(
        image_size=24, num_classes=10, patch_size=8, dims=(8, 16), depths=(1, 1), n_div=4, pad_odd_maps=pad
    )

    assert build_network(config).get_layer("merge1").output_shape == (None, side, side, 16)


@pytest.mark.parametrize("patch_size", [1, 2, 4, 8])
def test_both_stems_have_the_same_output_shape(patch_size):
    maps = [
        build_network(changed(stem=stem, patch_size=patch_size)).get_layer("stage0_block0").input_shape
        for stem in ("patch", "conv")
    ]

    assert maps[0] == maps[1] == (None, 32 // patch_size, 32 // patch_size, 16)


def test_the_convolutional_stem_looks_beyond_patch_borders():
    network = build_network(changed(stem="conv"))
    stem = tf.keras.Model(network.input, network.get_layer("stage0_block0").input)
    images = np.zeros((2, 32, 32, 3), np.float32)
    images[1, 15, 15] = 1  # the last pixel of its patch of four

    first, second = stem(images, training=False).numpy()
    affected = np.abs(first - second).max(axis=-1) > 1e-2

    assert affected[3, 3] and affected[4, 4]


@pytest.mark.parametrize("norm, stem", [("layer", "patch"), ("batch", "conv"), ("group1", "conv")])
def test_networks_of_other_norms_and_stems_train(norm, stem):
    network = build_network(changed(norm=norm, stem=stem, drop_path=0.0, dropout=0.0), fused=True)
    loss = tf.keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    network.compile(tf.keras.optimizers.Adam(0.01), loss)
    images, labels = tf.random.stateless_normal((8, 32, 32, 3), (0, 0)), np.arange(8)

    losses = [network.train_on_batch(images, labels) for _ in range(4)]

    assert losses[-1] < losses[0] - 0.1


@pytest.mark.parametrize("stem", ["patch", "conv"])
def test_a_variables_name_is_its_own_and_begins_with_its_layers(stem):
    """The optimizer finds the layer of a variable by its name."""
    network = build_network(changed(stem=stem, norm="batch"))

    assert len({weight.name for weight in network.weights}) == len(network.weights)
    assert all(weight.name.startswith(f"{layer.name}/") for layer in network.layers for weight in layer.weights)


def test_flip_test_averages_an_image_and_its_mirror_image():
    plain, flipping = build_model(TINY, CIFAR10), build_model(changed(flip_test=True), CIFAR10)
    draw_weights(plain)
    flipping.set_weights(plain.get_weights())
    images = draw_images(3)
    mirrored = images[:, :, ::-1]

    # The order of a mean does not matter, but matrix products may differ with the position in the batch.
    np.testing.assert_allclose(flipping(images), flipping(mirrored), rtol=1e-5)
    np.testing.assert_allclose(flipping(images), (plain(images) + plain(mirrored)) / 2, rtol=1e-5)
    assert np.abs(plain(images) - plain(mirrored)).max() > 1e-4


def test_flip_test_does_not_affect_training():
    config = changed(drop_path=0.0, dropout=0.0)
    plain, flipping = (
        build_model(config, CIFAR10),
        build_model(ModelConfig(**{**vars(config), "flip_test": True}), CIFAR10),
    )
    flipping.set_weights(plain.get_weights())

    np.testing.assert_array_equal(flipping(draw_images(3), training=True), plain(draw_images(3), training=True))


@pytest.mark.parametrize("stem", ["patch", "conv"])
@pytest.mark.parametrize("norm, activation", [("group1", "gelu"), ("layer", "silu"), ("batch", "relu")])
@pytest.mark.parametrize("precision, fused, flip_test", [("float32", False, True), ("mixed_bfloat16", True, False)])
def test_a_model_from_its_config_computes_the_same(stem, norm, activation, precision, fused, flip_test):
    config = changed(stem=stem, norm=norm, activation=activation, flip_test=flip_test)
    model = draw_weights(build_model(config, CIFAR10, precision, fused))

    again = tf.keras.Model.from_config(model.get_config())
    again.set_weights(model.get_weights())

    np.testing.assert_array_equal(again(draw_images(2)), model(draw_images(2)))


@pytest.mark.parametrize("precision", ["float32", "mixed_bfloat16"])
def test_saved_and_loaded_weights_predict_bit_identically(precision, tmp_path):
    model, images = draw_weights(build_model(TINY, CIFAR10, precision)), draw_images(5)
    before = model.predict(images, verbose=0)
    model.save_weights(tmp_path / "weights")

    again = build_model(TINY, CIFAR10, precision)
    again.load_weights(tmp_path / "weights").assert_consumed()

    assert again.predict(images, verbose=0).tobytes() == before.tobytes()


def test_blocks_have_the_configured_regularisation():
    network = build_network(TINY)
    blocks = [network.get_layer(name) for name in ("stage0_block0", "stage1_block0", "stage1_block1")]

    assert [round(block.drop_path.rate, 6) for block in blocks] == [0, 0.1, 0.2]
    assert {block.mlp.rate for block in blocks} == {0.1}


@pytest.mark.parametrize("fused", [False, True])
def test_training_is_random_and_inference_is_not(fused):
    network = build_network(TINY, fused=fused)
    images = tf.random.stateless_normal((8, 32, 32, 3), (0, 0))

    assert np.abs(network(images, training=True) - network(images, training=True)).max() > 0
    np.testing.assert_array_equal(network(images, training=False), network(images, training=False))
