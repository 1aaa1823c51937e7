"""The search space: hyperparameters are named by the dotted key of the configuration that they set."""

import keras_tuner

from shiftvit.config import ExperimentConfig, from_dict, to_dict


def declare(hp: keras_tuner.HyperParameters) -> None:
    """Declares the space.

    A trial is far shorter than the training it speaks for, and short training always prefers less regularisation:
    the ranges stay where long training was found to do well.
    """
    hp.Float("train.learning_rate", 1e-3, 4e-3, sampling="log")  # on small batches: below it is slow, above it spikes
    hp.Float("train.weight_decay", 0.02, 0.1, sampling="log")  # the paper's 0.05, a factor of two either way
    hp.Float("model.drop_path", 0.0, 0.1, step=0.05)  # small networks need little of it
    hp.Choice("train.label_smoothing", [0.0, 0.1])


def apply(hp: keras_tuner.HyperParameters, experiment: ExperimentConfig) -> ExperimentConfig:
    """Returns `experiment` with every hyperparameter of `hp` put in its place.

    Raises:
        ConfigError: when a name is not a key of the experiment, or its value does not fit.
    """
    values = to_dict(experiment)
    for name, value in hp.values.items():
        group, _, key = name.partition(".")
        values.setdefault(group, {})[key] = value
    return from_dict(ExperimentConfig, values)
