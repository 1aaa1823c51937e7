import keras_tuner
import pytest

from shiftvit.config import ExperimentConfig, ModelConfig, TrainConfig, to_dict
from shiftvit.errors import ConfigError
from tuner import space
from tuner.config import TuneConfig

EXPERIMENT = ExperimentConfig(ModelConfig(dims=(16, 32), depths=(1, 1)), train=TrainConfig(epochs=30, batch_size=64))


def leaf(experiment, name):
    group, key = name.split(".")
    return to_dict(experiment)[group][key]


def declared():
    hp = keras_tuner.HyperParameters()
    space.declare(hp)
    return hp


def test_every_hyperparameter_is_a_key_of_the_experiment_and_reaches_it():
    for drawn in (declared(), *(hp for hp in drawn_settings(5))):
        assert {name: leaf(space.apply(drawn, EXPERIMENT), name) for name in drawn.values} == drawn.values


def drawn_settings(count):
    for seed in range(count):
        hp = declared()
        hp.values = {dimension.name: dimension.random_sample(seed) for dimension in hp.space}
        yield hp


def test_the_rest_of_the_experiment_stays():
    hp = keras_tuner.HyperParameters()
    hp.Fixed("train.learning_rate", 0.005)

    applied, expected = to_dict(space.apply(hp, EXPERIMENT)), to_dict(EXPERIMENT)

    expected["train"]["learning_rate"] = 0.005
    assert applied == expected


@pytest.mark.parametrize(
    "name, value, sentence",
    [
        ("train.learning_rat", 0.1, "unknown key train.learning_rat; did you mean train.learning_rate"),
        ("tranquil.seed", 1, "unknown key tranquil"),
        ("dropout", 0.1, "unknown key dropout"),
        ("model.n_div", 2.5, "model.n_div=2.5 must be a whole number"),
        ("train.label_smoothing", 1.5, "train.label_smoothing must be in"),
    ],
)
def test_a_hyperparameter_that_does_not_fit_is_refused(name, value, sentence):
    hp = keras_tuner.HyperParameters()
    hp.Fixed(name, value)

    with pytest.raises(ConfigError, match=sentence):
        space.apply(hp, EXPERIMENT)


def test_a_trial_has_its_own_budget_and_nothing_else_of_its_own():
    trial = to_dict(TuneConfig(trials=2, epochs=3, steps_per_epoch=7).trial_of(EXPERIMENT))

    expected = to_dict(EXPERIMENT)
    expected["train"] |= {"epochs": 3, "steps_per_epoch": 7}
    assert trial == expected
