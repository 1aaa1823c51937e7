import importlib

import numpy as np
import pytest
import tensorflow as tf

from shiftvit import optimizer
from shiftvit.config import ModelConfig, TrainConfig
from shiftvit.model import build_network
from shiftvit.optimizer import make_optimizer
from shiftvit.schedule import WarmupCosine
from shiftvit.stack import CLASSIC, STACK


@pytest.fixture(params=["adamw_addons", "adamw_keras"] if STACK == CLASSIC else ["adamw_keras"], autouse=True)
def library(request, monkeypatch):
    """Every test, with each AdamW that runs on this stack."""
    monkeypatch.setattr(optimizer, "adamw", importlib.import_module(f"shiftvit.{request.param}"))


def apply(config, *gradients):
    """Applies pairs of gradients to a pair of weights of 1; returns by how much each weight decreased."""
    weights = [tf.Variable(1.0), tf.Variable(1.0)]
    optimizer = make_optimizer(config, 10, weights)
    for pair in gradients:
        optimizer.apply_gradients(zip(map(tf.constant, pair), weights, strict=True))
    return [1 - float(weight) for weight in weights]


def test_the_rate_rises_linearly_to_the_peak_and_falls_along_a_cosine_to_zero():
    schedule = WarmupCosine(0.8, total_steps=1004, warmup_steps=4)
    rates = [float(schedule(step)) for step in (0, 1, 3, 4, 254, 504, 754, 1003, 1004, 2000)]

    halfway_down = 0.4 * (1 + np.cos(np.pi / 4))
    np.testing.assert_allclose(rates[:6], [0.2, 0.4, 0.8, 0.8, halfway_down, 0.4], rtol=1e-5)
    assert rates[6] == pytest.approx(0.8 - halfway_down, rel=1e-4)
    assert 0 < rates[7] < 1e-5 and rates[8] < 1e-7 and rates[9] < 1e-7


def test_without_warmup_the_first_update_has_the_peak_rate():
    assert float(WarmupCosine(0.8, total_steps=10, warmup_steps=0)(0)) == pytest.approx(0.8)


def test_a_schedule_of_one_step_starts_at_the_peak():
    assert float(WarmupCosine(0.8, total_steps=1, warmup_steps=0)(0)) == pytest.approx(0.8)


def test_the_first_update_has_the_rate_of_the_schedule():
    config = TrainConfig(learning_rate=0.1, warmup_fraction=0.5, weight_decay=0.0, clip_norm=0.0)

    assert apply(config, (1.0, -2.0)) == pytest.approx([0.1 / 5, -0.1 / 5], rel=1e-4)


def test_kernels_decay_but_biases_and_norms_do_not():
    config = TrainConfig(learning_rate=0.5, warmup_fraction=0.0, weight_decay=0.02)
    network = build_network(
        ModelConfig(image_size=32, num_classes=10, patch_size=4, dims=(8, 16), depths=(1, 1), n_div=4)
    )
    before = [weight.numpy() + 1 for weight in network.weights]
    network.set_weights(before)

    make_optimizer(config, 10, network.weights).apply_gradients([(tf.zeros_like(w), w) for w in network.weights])

    kernels = {weight.name for weight in network.weights if "kernel" in weight.name}
    assert len(kernels) == 7
    for weight, old in zip(network.weights, before, strict=True):
        np.testing.assert_allclose(
            weight, old * (1 - 0.5 * 0.02) if weight.name in kernels else old, rtol=1e-5, err_msg=weight.name
        )


def test_a_layers_factor_scales_its_steps_and_its_decay():
    config = TrainConfig(learning_rate=0.5, warmup_fraction=0.0, weight_decay=0.02)
    kernels = [tf.Variable(1.0, name=f"{layer}/kernel") for layer in ("stem", "head")]

    optimizer = make_optimizer(config, 10, kernels, {"stem": 0.25, "head": 1.0})
    optimizer.apply_gradients([(tf.constant(0.1), kernel) for kernel in kernels])

    assert [1 - float(kernel) for kernel in kernels] == pytest.approx([0.51 * 0.25, 0.51], rel=1e-5)


def test_gradients_are_clipped_by_their_global_norm():
    config = TrainConfig(learning_rate=0.1, warmup_fraction=0.0, weight_decay=0.0, clip_norm=5.0)

    clipped = apply(config, (0.3, 0.4), (300.0, 400.0))

    assert clipped == pytest.approx(apply(config, (0.3, 0.4), (3.0, 4.0)), rel=1e-5)


def test_clipping_can_be_off():
    config = TrainConfig(learning_rate=0.1, warmup_fraction=0.0, weight_decay=0.0, clip_norm=0.0)

    assert apply(config, (0.3, 0.4), (300.0, 400.0)) != pytest.approx(apply(config, (0.3, 0.4), (3.0, 4.0)), rel=0.01)


def test_an_average_forgets_the_first_steps():
    """After updates with steps of 1 the average follows the weights with a decay of (1 + n) / (10 + n), then of 0.5."""
    weights = [tf.Variable(0.0)]
    config = TrainConfig(learning_rate=1.0, warmup_fraction=0.0, weight_decay=0.0, clip_norm=0.0, ema_decay=0.5)
    trained = make_optimizer(config, 10**9, weights)
    average = 0.0
    for n in range(20):
        trained.apply_gradients([(tf.constant(-1.0), weights[0])])
        decay = min(0.5, (1 + n) / (10 + n))
        average = decay * average + (1 - decay) * (n + 1)

    optimizer.adamw.assign_averages(trained, weights)

    assert float(weights[0]) == pytest.approx(average, rel=1e-5)
