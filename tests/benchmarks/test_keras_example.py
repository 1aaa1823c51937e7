import numpy as np
import pytest
import tensorflow as tf

from benchmarks.keras_example import KerasExample, compile_example, shift
from benchmarks.records import random_examples
from shiftvit.config import ModelConfig

TINY = ModelConfig(image_size=16, num_classes=10, patch_size=4, dims=(16, 32), depths=(1, 2), n_div=4)


def test_shift_of_the_example_only_clears_borders():
    x = np.random.default_rng(0).normal(size=(2, 5, 6, 24)).astype(np.float32)

    y = shift(tf.constant(x), n_div=4).numpy()  # pieces of 24 / (24 // 4) = 4 channels

    expected = x.copy()
    expected[:, :, -1, 0:4] = 0
    expected[:, :, 0, 4:8] = 0
    expected[:, -1, :, 8:12] = 0
    expected[:, 0, :, 12:16] = 0
    np.testing.assert_array_equal(y, expected)


def parameters(patch, dims, depths):
    """Counts by hand: a block has a norm, 2C, and dense layers, 2C² + 2C and 2C² + C; a merge has a norm and 8C²."""
    total = patch * patch * 3 * dims[0] + dims[0]
    total += sum(depth * (4 * c * c + 5 * c) for c, depth in zip(dims, depths, strict=True))
    return total + sum(8 * c * c + 2 * c for c in dims[:-1])


@pytest.mark.parametrize(
    ("config", "expected", "total"),
    [
        (TINY, parameters(4, (16, 32), (1, 2)), 12_480),
        (
            ModelConfig(image_size=48, num_classes=10, patch_size=4),
            parameters(4, (96, 192, 384, 768), (2, 4, 8, 2)),
            11_682_912,
        ),
    ],
)
def test_number_of_parameters_matches_the_count_by_hand(config, expected, total):
    model = KerasExample(config)
    model(model.augmentation(tf.zeros((1, 32, 32, 3), tf.uint8)))

    assert sum(weight.shape.num_elements() for weight in model.trainable_weights) == expected == total


def test_example_trains_all_weights_and_reports_both_accuracies():
    images, labels = random_examples(8)
    model = compile_example(TINY, total_steps=10)

    history = model.fit(images, labels, batch_size=4, verbose=0).history
    weights = [weight.numpy() for weight in model.trainable_variables]
    model.fit(images, labels, batch_size=4, verbose=0)

    assert set(history) == {"loss", "accuracy", "top-5-accuracy"} and np.isfinite(history["loss"][0])
    assert all((weight.numpy() != old).any() for weight, old in zip(model.trainable_variables, weights, strict=True)), (
        "a weight did not change"
    )


@pytest.mark.parametrize("training", [True, False])
def test_example_returns_its_pooled_features_as_logits(training):
    assert KerasExample(TINY)(tf.zeros((2, 16, 16, 3)), training=training).shape == (2, 32)
