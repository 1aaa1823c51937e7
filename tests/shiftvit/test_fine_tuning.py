"""Training of official weights: frozen stages, and learning rates that shrink towards the input."""

import dataclasses
import json
import signal

import numpy as np
import pytest
import trainings
from known_data import CIFAR10

from pipeline.config.overrides import override
from pipeline.config.presets import preset
from shiftvit import train
from shiftvit.config import ModelConfig
from shiftvit.fine_tuning import rate_factors
from shiftvit.model import NETWORK, build_network
from shiftvit.official_weights import to_official
from shiftvit.variants import variant

MODEL = trainings.experiment().model
# How many times the decay applies to the layers of MODEL, which has two stages of one block: by our and official names.
POWERS = {"stem": 3, "stage0": 2, "merge1": 1, "stage1": 1, "norm": 0, "head": 0}
OFFICIAL_POWERS = {"patch_embed": 3, "layers.0.b": 2, "layers.0.d": 1, "layers.1": 1, "norm": 0, "head": 0}
FROZEN = ("patch_embed.", "layers.0.blocks.")  # official names of what train.freeze=1 freezes
RNG = np.random.default_rng(0)
IMAGES, LABELS = RNG.integers(0, 256, (32, 32, 32, 3)).astype(np.uint8), np.arange(32) % 10


def save_weights(path, model):
    """Writes random official weights that fit `model`; returns them."""
    weights = {
        name: RNG.uniform(0.5, 1.5, array.shape) if "running_var" in name else RNG.normal(0, 0.05, array.shape)
        for name, array in to_official(build_network(model)).items()
    }
    np.savez(path, **weights)
    return {name: array.astype(np.float32) for name, array in weights.items()}


def experiment(norm="group1", stem="patch", **settings):
    plain = trainings.experiment(**settings)
    return dataclasses.replace(plain, model=dataclasses.replace(MODEL, norm=norm, stem=stem))


def attempt(config, examples, folder, **options):
    """Trains in a child process; returns its result and the official weights at the end."""
    ended = trainings.attempt(config, examples, folder, **options)
    assert ended.returncode == 0, ended.stderr
    with np.load(folder / "weights.npz") as file:
        return json.loads(ended.stdout.splitlines()[-1]), dict(file)


def unchanged(before, after):
    """Returns the names of the weights that are the same to the bit."""
    return {name for name in before if before[name].tobytes() == after[name].tobytes()}


def frozen(weights):
    return {name for name in weights if name.startswith(FROZEN)}


def test_each_block_has_a_share_of_the_next_ones_rate_and_a_merge_that_of_its_stages_first_block():
    network = build_network(
        ModelConfig(image_size=32, num_classes=10, patch_size=2, dims=(8, 16, 16), depths=(1, 2, 1), n_div=4)
    )

    factors = rate_factors(network, 0.5, (1, 2, 1))

    assert {name: factor for name, factor in factors.items() if network.get_layer(name).weights} == {
        "stem": 1 / 32,
        "stem_norm": 1 / 32,
        "stage0_block0": 1 / 16,
        "merge1_norm": 1 / 8,
        "merge1": 1 / 8,
        "stage1_block0": 1 / 8,
        "stage1_block1": 1 / 4,
        "merge2_norm": 1 / 2,
        "merge2": 1 / 2,
        "stage2_block0": 1 / 2,
        "norm": 1,
        "head": 1,
    }


@pytest.mark.slow
def test_updates_and_weight_decay_follow_the_factors_with_averages_and_clipping():
    settings = {"learning_rate": 0.01, "warmup_fraction": 0.0, "weight_decay": 2.0, "ema_decay": 0.9, "clip_norm": 0.1}

    plain, scaled = (one_update(experiment(stem="conv", layer_decay=decay, **settings)) for decay in (1.0, 0.25))

    for name, change in plain.items():
        [factor] = [0.25**power for layer, power in POWERS.items() if name.startswith(layer)]
        np.testing.assert_allclose(scaled[name], factor * change, atol=1e-7, err_msg=name)


def one_update(config):
    """Makes one update; returns by how much each variable changed, by name."""
    model = train.compile_model(config, CIFAR10, total_steps=1)
    before = [weight.numpy() for weight in model.trainable_variables]
    model.fit(IMAGES, LABELS, batch_size=32, verbose=0)
    return {w.name: w.numpy() - old for w, old in zip(model.trainable_variables, before, strict=True)}


@pytest.mark.slow
def test_two_replicas_scale_their_steps_alike(drawn_examples, tmp_path):
    initial = save_weights(tmp_path / "initial.npz", MODEL)
    config = experiment(
        replicas=2,
        initial_weights=str(tmp_path / "initial.npz"),
        layer_decay=0.25,
        epochs=1,
        steps_per_epoch=1,
        learning_rate=0.01,
        warmup_fraction=0.0,
        weight_decay=0.0,
    )

    result, trained = attempt(config, drawn_examples, tmp_path)

    assert (result["replicas"], result["updates"]) == (2, 1)
    for name, before in initial.items():
        [factor] = [0.25**power for layer, power in OFFICIAL_POWERS.items() if name.startswith(layer)]
        # Adam's first step is the rate times the sign of the gradient, and less where that is tiny.
        assert np.abs(trained[name] - before).max() == pytest.approx(0.01 * factor, rel=0.05), name


@pytest.mark.slow
@pytest.mark.parametrize("norm", ["group1", "batch"])
def test_frozen_stages_stay_bit_for_bit_and_all_else_trains(tmp_path, norm):
    initial = save_weights(tmp_path / "initial.npz", dataclasses.replace(MODEL, norm=norm))
    model = train.compile_model(experiment(norm, initial_weights=str(tmp_path / "initial.npz"), freeze=1), CIFAR10, 10)

    model.fit(IMAGES, LABELS, batch_size=16, epochs=2, verbose=0)

    assert unchanged(initial, to_official(model.get_layer(NETWORK))) == frozen(initial)


@pytest.mark.slow
def test_with_two_replicas_a_killed_fine_tuning_resumes_to_the_same_bits_and_keeps_what_is_frozen(
    drawn_examples, tmp_path
):
    initial = save_weights(tmp_path / "initial.npz", dataclasses.replace(MODEL, norm="batch"))
    settings = {"freeze": 1, "layer_decay": 0.7, "ema_decay": 0.9, "initial_weights": str(tmp_path / "initial.npz")}
    config = experiment("batch", epochs=2, deterministic=True, replicas=2, **settings)
    folders = [tmp_path / "killed", tmp_path / "whole"]
    for folder in folders:
        folder.mkdir()
    killed = trainings.attempt(config, drawn_examples, folders[0], kill_at=1.3)
    assert killed.returncode == -signal.SIGKILL, killed.stderr

    (resumed, weights), (whole, _) = (attempt(config, drawn_examples, folder) for folder in folders)

    assert (resumed["epochs"], whole["epochs"], whole["replicas"]) == ([1], [0, 1], 2)
    assert resumed["weights"] == whole["weights"]
    assert unchanged(initial, weights) == frozen(initial)


@pytest.mark.slow
def test_a_published_variant_is_fine_tuned_at_its_own_image_size(tmp_path):
    file = tmp_path / "light_tiny.npz"
    initial = save_weights(file, variant("shiftvit_light_tiny"))
    settings = [f"train.initial_weights={file}", "train.freeze=2", "train.layer_decay=0.8", "train.batch_size=2"]
    settings += ["model=shiftvit_light_tiny", "model.image_size=224", "train.precision=float32"]
    config = override(preset("quickstart"), settings).experiment.for_data(CIFAR10)

    notes = train.check_initial_weights(config.model, str(file))
    assert notes == ["the head of 1000 classes was not loaded: this network has 10"]
    model = train.compile_model(config, CIFAR10, total_steps=1)
    model.fit(IMAGES[:2], LABELS[:2], batch_size=2, verbose=0)

    trained = to_official(model.get_layer(NETWORK))
    frozen = ("patch_embed.", "layers.0.", "layers.1.blocks.")
    assert trained["head.weight"].shape == (10, 768)
    body = {name: array for name, array in initial.items() if not name.startswith("head.")}
    assert unchanged(body, trained) == {name for name in body if name.startswith(frozen)}
