import json

import numpy as np
import official
import pytest
import tensorflow as tf

from shiftvit.config import ModelConfig
from shiftvit.model import Normalise, build_model, build_network

TINY = ModelConfig(patch_size=4, dims=(16, 32), depths=(1, 2), n_div=8, drop_path=0.2, dropout=0.1)


def relative_error(found, expected):
    return np.linalg.norm(found - expected) / np.linalg.norm(expected)


@pytest.mark.parametrize("name", ["shiftvit_gn1_gelu", "shiftvit_gn1_div8_patch2"])
def test_logits_and_input_gradients_are_those_of_the_official_code(name):
    vectors = official.load_vectors(name)
    config = official.model_config(json.loads(str(vectors["config"])))
    network = build_network(config)
    official.set_weights(network, vectors, config)
    images = tf.constant(vectors["input_nchw"].transpose(0, 2, 3, 1))

    with tf.GradientTape() as tape:
        tape.watch(images)
        logits = network(images)
        total = tf.reduce_sum(logits**2)
    gradient = tape.gradient(total, images).numpy().transpose(0, 3, 1, 2)

    assert relative_error(logits.numpy(), vectors["logits"]) < 1e-4
    assert relative_error(gradient, vectors["input_gradient_of_sum_of_squared_logits_nchw"]) < 1e-4


@pytest.mark.parametrize("variant", ["shiftvit_light_tiny", "shiftvit_light_base"])
def test_published_variants_have_their_published_size(variant):
    values = official.paper_variants()[variant]
    with tf.Graph().as_default():  # only the shapes: no weight is ever drawn
        network = build_network(official.model_config(values))

    assert network.count_params() == values["params"]


@pytest.mark.parametrize("precision", ["float32", "mixed_bfloat16"])
def test_stored_images_in_and_float32_logits_out(precision):
    model = build_model(TINY, precision)
    logits = model(tf.zeros((2, 32, 32, 3), tf.uint8))

    assert model.input.dtype == tf.uint8 and logits.dtype == tf.float32 and logits.shape == (2, 10)
    assert {weight.dtype for weight in model.weights} == {tf.float32}


def test_blocks_compute_in_bfloat16_where_asked():
    network = build_network(TINY, "mixed_bfloat16")

    block = network.get_layer("stage1_block0")
    layers = (block, block.shift, block.norm, block.expand, block.project)
    assert {layer.compute_dtype for layer in layers} == {"bfloat16"}


def test_pixels_get_zero_mean_and_unit_deviation_of_the_training_set():
    mean, deviation = 255 * np.array([0.4914, 0.4822, 0.4465]), 255 * np.array([0.2470, 0.2435, 0.2616])
    image = np.random.default_rng(0).integers(0, 256, (1, 32, 32, 3), np.uint8)

    np.testing.assert_allclose(Normalise(32)(image), (image - mean) / deviation, rtol=1e-4, atol=1e-5)


def test_images_are_resized_to_what_the_network_sees():
    halves = np.zeros((1, 32, 32, 3), np.uint8)
    halves[:, :, 16:] = 255

    large = Normalise(48)(halves).numpy()

    assert large.shape == (1, 48, 48, 3)
    assert (large[:, :, :23] == large[0, 0, 0]).all() and (large[:, :, 25:] == large[0, 0, -1]).all()


def test_an_odd_map_loses_nothing_when_it_is_merged():
    config = ModelConfig(image_size=24, patch_size=8, dims=(8, 16), depths=(1, 1), n_div=4, drop_path=0.0)
    network = build_network(config)
    images = tf.Variable(tf.random.stateless_normal((1, 24, 24, 3), (0, 0)))
    with tf.GradientTape() as tape:
        total = tf.reduce_sum(network(images) ** 2)

    assert network.get_layer("merge1").output_shape == (None, 2, 2, 16)
    assert (tape.gradient(total, images).numpy() != 0).all()


def test_regularisation_of_the_configuration_reaches_the_blocks():
    network = build_network(TINY)
    blocks = [network.get_layer(name) for name in ("stage0_block0", "stage1_block0", "stage1_block1")]

    assert [round(block.drop_path.rate, 6) for block in blocks] == [0, 0.1, 0.2]
    assert {block.dropout.rate for block in blocks} == {0.1}


def test_training_is_random_and_inference_is_not():
    network = build_network(TINY)
    images = tf.random.stateless_normal((8, 32, 32, 3), (0, 0))

    assert np.abs(network(images, training=True) - network(images, training=True)).max() > 0
    np.testing.assert_array_equal(network(images, training=False), network(images, training=False))
