import re
from dataclasses import replace

import keras_tuner
import pytest

from shiftvit.config import DataConfig, ExperimentConfig, ModelConfig, TrainConfig, to_dict
from shiftvit.errors import ConfigError
from tuner import space
from tuner.config import TuneConfig

EXPERIMENT = ExperimentConfig(ModelConfig(dims=(16, 32), depths=(1, 1)), train=TrainConfig(epochs=30, batch_size=64))
BUILT_IN = TuneConfig().space


def leaf(experiment, name):
    group, key = name.split(".")
    return to_dict(experiment)[group][key]


def random_settings(count, experiment=EXPERIMENT):
    for seed in range(count):
        hp = keras_tuner.HyperParameters()
        for dimension in space.make(BUILT_IN, experiment).space:
            hp.merge([dimension])
            if hp.is_active(dimension):
                hp.values[dimension.name] = dimension.random_sample(seed)
        yield hp.values


def test_every_hyperparameter_sets_its_setting():
    for values in random_settings(20):
        applied = {name: leaf(space.apply(values, EXPERIMENT), name) for name in values}

        dims = applied.pop("model.dims")
        assert ",".join(map(str, dims)) == values["model.dims"]
        assert applied == {name: value for name, value in values.items() if name != "model.dims"}


def test_other_settings_stay():
    applied, expected = to_dict(space.apply({"train.learning_rate": 0.005}, EXPERIMENT)), to_dict(EXPERIMENT)

    expected["train"]["learning_rate"] = 0.005
    assert applied == expected


@pytest.mark.parametrize(
    "experiment",
    [
        EXPERIMENT,
        ExperimentConfig(
            ModelConfig(drop_path=0.3, dropout=0.2),
            DataConfig(randaugment_ops=2, randaugment_magnitude=0.7, mixup=0.1, cutmix=0.3),
            TrainConfig(learning_rate=7e-4, weight_decay=0.0, label_smoothing=0.2, ema_decay=0.9999),
        ),
    ],
)
def test_the_defaults_are_the_experiment_itself(experiment):
    defaults = space.make(BUILT_IN, experiment).values

    assert space.apply(defaults, experiment) == experiment


def test_the_hyperparameters_of_the_built_in_space():
    names = {dimension.name for dimension in space.describe(space.make(BUILT_IN, EXPERIMENT))}

    assert names == {
        "train.learning_rate",
        "train.weight_decay",
        "train.label_smoothing",
        "train.ema_decay",
        "model.drop_path",
        "model.dropout",
        "model.norm",
        "model.activation",
        "model.dims",
        "data.randaugment_ops",
        "data.randaugment_magnitude",
        "data.mixup",
        "data.cutmix",
    }


def test_augmentation_is_not_searched_for_an_experiment_without_it():
    shapes = ExperimentConfig(EXPERIMENT.model, DataConfig(crop_padding=0, flip=False), EXPERIMENT.train)

    assert not [name for name in space.make(BUILT_IN, shapes).values if name.startswith("data.")]


def test_the_magnitude_is_searched_only_with_an_operation():
    operations, magnitude = "data.randaugment_ops", "data.randaugment_magnitude"

    for values in random_settings(20):
        assert (magnitude in values) == (values[operations] > 0)


def declare_fine_tuning(hp, experiment):
    hp.Int("train.freeze", 0, 2)
    hp.Float("train.layer_decay", 0.5, 1.0)


def test_a_space_of_ones_own_can_search_how_to_fine_tune():
    experiment = replace(EXPERIMENT, train=replace(EXPERIMENT.train, initial_weights="weights.npz"))
    hp = space.make(f"{__name__}.declare_fine_tuning", experiment)

    found = space.apply(hp.values | {"train.freeze": 2, "train.layer_decay": 0.75}, experiment).train

    assert (found.freeze, found.layer_decay) == (2, 0.75)
    with pytest.raises(ConfigError, match=r"train\.freeze=3 must be at most 2"):
        space.apply({"train.freeze": 3}, experiment)


@pytest.mark.parametrize(
    "name, value, message",
    [
        ("train.learning_rat", 0.1, "unknown key train.learning_rat; did you mean train.learning_rate"),
        ("tranquil.seed", 1, "unknown key tranquil"),
        ("dropout", 0.1, "unknown key dropout"),
        ("model.n_div", 2.5, "model.n_div=2.5 must be a whole number"),
        ("train.label_smoothing", 1.5, "train.label_smoothing=1.5 must be from 0 to 0.99"),
        ("model.depths", 2, "model.dims and model.depths must have one entry per stage"),
        ("model.dims", "16,wide", "model.dims='16,wide' must be a list, such as 2,4,8"),
    ],
)
def test_an_invalid_hyperparameter_is_refused(name, value, message):
    with pytest.raises(ConfigError, match=message):
        space.apply({name: value}, EXPERIMENT)


SPACES = {
    "train.learning_rate=1e+20 must be from 1e-12 to 1": lambda hp: hp.Float("train.learning_rate", 1e-4, 1e20),
    "train.learning_rate=1e-30 must": lambda hp: hp.Float("train.learning_rate", 1e-30, 1e-3, default=1e-4),
    "train.batch_size=0 must be from 1": lambda hp: hp.Int("train.batch_size", 0, 64, default=64),
    "model.dims=9999 must be from 1 to 8,192": lambda hp: hp.Choice("model.dims", ["16,32", "16,9999"]),
    "model.norm='none' is not one of": lambda hp: hp.Choice("model.norm", ["layer", "none"]),
    "train.seed=-1 must be from 0": lambda hp: hp.Choice("train.seed", [1, -1]),
}


def declare_what_a_setting_cannot_be(hp, experiment):
    SPACES[experiment.train.initial_weights](hp)


@pytest.mark.parametrize("message", SPACES)
def test_a_space_outside_the_range_of_a_setting_is_refused(message):
    experiment = replace(EXPERIMENT, train=replace(EXPERIMENT.train, initial_weights=message))

    with pytest.raises(ConfigError, match=rf"tune\.space=\S+: {re.escape(message)}"):
        space.make(f"{__name__}.declare_what_a_setting_cannot_be", experiment)


def fail(hp, experiment):
    hp.Float("train.learning_rate", 1e-2, 1e-4)


def test_a_space_that_fails_is_refused_with_its_error():
    with pytest.raises(ConfigError, match=rf"tune\.space={__name__}\.fail: ValueError: .*min_value"):
        space.make(f"{__name__}.fail", EXPERIMENT)


@pytest.mark.parametrize(("rate", "decay", "channels"), [(1e-12, 1e-9, 4), (1.0, 100.0, 8192)])
def test_the_built_in_space_stays_in_the_ranges_of_the_settings(rate, decay, channels):
    model = ModelConfig(dims=(channels, channels), depths=(1, 1), n_div=4)
    experiment = ExperimentConfig(model, train=TrainConfig(learning_rate=rate, weight_decay=decay))

    assert space.apply(space.make(BUILT_IN, experiment).values, experiment) == experiment


def test_the_bookkeeping_of_hyperband_is_ignored():
    values = {"tuner/epochs": 3, "tuner/trial_id": "01", "train.learning_rate": 0.005}

    assert space.apply(values, EXPERIMENT).train.learning_rate == 0.005
    assert space.without_bookkeeping(values) == {"train.learning_rate": 0.005}


def test_dimensions_describe_ranges_and_choices():
    hp = keras_tuner.HyperParameters()
    hp.Float("a", 0.1, 10.0, sampling="log", default=1.0)
    hp.Int("b", 2, 8)
    hp.Choice("c", ["x", "y"], default="y")
    hp.Boolean("d")
    hp.Fixed("e", 7)

    a, b, c, d, e = space.describe(hp)

    assert (a.low, a.high, a.log, a.integer, a.default, a.choices) == (0.1, 10.0, True, False, 1.0, ())
    assert (b.low, b.high, b.log, b.integer, b.default) == (2, 8, False, True, 2)
    assert (c.choices, c.default) == (("x", "y"), "y")
    assert (d.choices, d.default) == ((False, True), False)
    assert (e.choices, e.default) == ((7,), 7)


def test_a_trial_differs_from_the_experiment_in_its_budget_alone():
    trial = to_dict(TuneConfig(trials=2, epochs=3, steps_per_epoch=7).trial_of(EXPERIMENT))

    expected = to_dict(EXPERIMENT)
    expected["train"] |= {"epochs": 3, "steps_per_epoch": 7}
    assert trial == expected
