"""Weights of the classes in the training loss."""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf
import trainings
from known_data import CIFAR10

from shiftvit.features import TRAIN
from shiftvit.loss import balanced_weights, weigh
from shiftvit.train import compile_model


def test_balanced_weights_give_every_class_the_same_total_and_a_mean_of_1():
    counts = np.array([700, 250, 50, 0])

    weights = balanced_weights(counts.tolist())

    np.testing.assert_allclose(weights * counts, [1000 / 3] * 3 + [0], rtol=1e-6)
    assert (weights * counts).sum() / counts.sum() == pytest.approx(1)
    assert balanced_weights([40, 40]).tolist() == [1, 1]


def test_mixed_images_weigh_their_shares():
    weights = np.array([0.5, 2.0, 4.0], np.float32)
    shares = tf.constant([[1, 0, 0], [0.25, 0.75, 0], [0, 0.5, 0.5]])

    np.testing.assert_allclose(weigh(tf.constant([2, 0, 1], tf.int64), weights), [4, 0.5, 2])
    np.testing.assert_allclose(weigh(shares, weights), [0.5, 1.625, 3])


@pytest.mark.parametrize("mixed", [False, True])
def test_balanced_class_weights_apply_to_the_training_loss_only(mixed):
    counts = (600, 200, *[100] * 8)  # of 1,600 images in 10 classes: 160 are an even share
    dataset = dataclasses.replace(CIFAR10, class_counts={TRAIN: counts})
    images = np.random.default_rng(0).integers(0, 256, (8, 32, 32, 3), np.uint8)
    targets = np.array([0, 0, 0, 0, 1, 1, 2, 9])
    weights = 160 / np.array(counts)[targets]
    if mixed:
        targets, weights = (
            (np.eye(10, dtype=np.float32)[targets] + 0.1) / 2,
            (weights + np.mean(160 / np.array(counts))) / 2,
        )
    trained, evaluated = {}, {}
    for choice in ("none", "balanced"):
        model = compile_model(trainings.experiment(class_weights=choice), dataset, 1)
        losses = model.loss.call(tf.constant(targets), model(images))
        evaluated[choice] = model.test_on_batch(images, targets)[0]
        trained[choice] = model.train_on_batch(images, targets)[0]

    assert trained["none"] == pytest.approx(np.mean(losses), rel=1e-5)
    assert trained["balanced"] == pytest.approx(np.mean(losses * weights), rel=1e-5)
    assert evaluated["balanced"] == evaluated["none"] == pytest.approx(np.mean(losses), rel=1e-5)
