"""The search space: hyperparameters are named by the dotted key of the configuration that they set."""

import importlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import keras_tuner

from shiftvit.config import ExperimentConfig, ModelConfig, from_dict, require, to_dict
from shiftvit.errors import ConfigError
from tuner.results import Dimension

Space = Callable[[keras_tuner.HyperParameters, ExperimentConfig], None]

_WIDTHS = (0.75, 1.25)  # of all stages, beside the experiment's own: about half and one and a half times its cost
_BOOKKEEPING = "tuner/"  # how the names begin under which Hyperband notes what a trial goes on with


def declare(hp: keras_tuner.HyperParameters, experiment: ExperimentConfig) -> None:
    """Declares the space around `experiment`, whose own setting is every hyperparameter's default.

    A trial is far shorter than the training it speaks for, and short training always prefers less regularisation:
    the ranges stay where long training was found to do well.
    """
    model, data, train = experiment.model, experiment.data, experiment.train
    # Below a third it is slow, above three times it spikes: wider ranges only bring trials that fail.
    _around(hp, "train.learning_rate", train.learning_rate, 3)
    # It acts through its product with the rate, whose own range it must make up for, and something more.
    if train.weight_decay:
        _around(hp, "train.weight_decay", train.weight_decay, 4)
    _choice(hp, "train.label_smoothing", [0.0, 0.05, 0.1], train.label_smoothing)  # more costs calibration
    # A longer memory than a short trial would be judged by the weights it began with: 100 and 500 updates.
    _choice(hp, "train.ema_decay", [0.0, 0.99, 0.998], train.ema_decay)
    _choice(hp, "model.drop_path", [0.0, 0.05, 0.1, 0.2], model.drop_path)  # small networks need little of it
    _choice(hp, "model.dropout", [0.0, 0.1], model.dropout)  # where drop path is on, little is left for it to do
    # Statistics of the batch, and a cheaper activation, learnt faster here; the published ones need no large batch.
    _choice(hp, "model.norm", ["group1", "batch"], model.norm)
    _choice(hp, "model.activation", ["gelu", "relu"], model.activation)
    sizes = sorted({model.dims, *(_scaled(model, width) for width in _WIDTHS)})
    hp.Choice("model.dims", [_listed(dims) for dims in sizes], default=_listed(model.dims))
    if data.crop_padding or data.flip:  # pictures whose class a change of their look would change are left alone
        _declare_augmentation(hp, experiment)


def _declare_augmentation(hp: keras_tuner.HyperParameters, experiment: ExperimentConfig) -> None:
    data = experiment.data
    operations = "data.randaugment_ops"
    _choice(hp, operations, [0, 1, 2], data.randaugment_ops)  # as published: more destroy pictures of 32 pixels
    with hp.conditional_scope(operations, [1, 2]):
        hp.Float("data.randaugment_magnitude", 0.2, 0.8, default=min(max(data.randaugment_magnitude, 0.2), 0.8))
    for name in ("mixup", "cutmix"):  # up to half each, since an image is mixed in one of the two ways
        _choice(hp, f"data.{name}", [0.0, 0.25, 0.5], min(getattr(data, name), 0.5))


def _around(hp: keras_tuner.HyperParameters, name: str, value: float, factor: float) -> None:
    hp.Float(name, value / factor, value * factor, sampling="log", default=value)


def _choice(hp: keras_tuner.HyperParameters, name: str, values: Sequence[Any], own: Any) -> None:
    hp.Choice(name, sorted({*values, own}), default=own)


def _scaled(model: ModelConfig, width: float) -> tuple[int, ...]:
    return tuple(max(model.n_div, round(channels * width / 8) * 8) for channels in model.dims)


def _listed(values: Sequence[int]) -> str:
    """Writes a list as --set does: KerasTuner's choices are numbers and texts."""
    return ",".join(map(str, values))


def load(name: str) -> Space:
    """Returns the function of that dotted name, which declares a space.

    Raises:
        ConfigError: when it cannot be imported, or is none.
    """
    module, _, function = name.rpartition(".")
    try:
        found = getattr(importlib.import_module(module), function)
    except (ImportError, AttributeError, ValueError, SyntaxError) as error:
        raise ConfigError(
            f"tune.space={name}: cannot be imported ({error}); it must be the dotted name of a function of a module "
            "on PYTHONPATH, such as tuner.space.declare"
        ) from error
    require(callable(found), f"tune.space={name} is no function")
    return found


def make(name: str, experiment: ExperimentConfig) -> keras_tuner.HyperParameters:
    """Returns the space that the function of that name declares around `experiment`.

    Raises:
        ConfigError: when the function cannot be imported, or the space is empty or does not fit the experiment.
    """
    hp = keras_tuner.HyperParameters()
    load(name)(hp, experiment)
    require(bool(hp.space), f"tune.space={name} declares no hyperparameter, so there is nothing to search")
    apply(hp.values, experiment)
    return hp


def apply(values: Mapping[str, Any], experiment: ExperimentConfig) -> ExperimentConfig:
    """Returns `experiment` with every hyperparameter in its place.

    Raises:
        ConfigError: when a name is not a key of the experiment, or its value does not fit.
    """
    tree = to_dict(experiment)
    for name, value in values.items():
        if name.startswith(_BOOKKEEPING):
            continue
        group, _, key = name.partition(".")
        table = tree.setdefault(group, {})
        table[key] = _unlisted(value) if isinstance(table.get(key), list) else value
    return from_dict(ExperimentConfig, tree)


def _unlisted(value: Any) -> Any:
    try:
        return [int(part) for part in str(value).split(",")]
    except ValueError:
        return value  # which is then refused by the name of its key


def searched(values: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the values of the space alone, without what Hyperband notes beside them."""
    return {name: value for name, value in values.items() if not name.startswith(_BOOKKEEPING)}


def describe(hp: keras_tuner.HyperParameters) -> list[Dimension]:
    """Returns what the report needs to know of the space."""
    return [_describe(dimension.get_config()) for dimension in hp.space]


def _describe(config: Mapping[str, Any]) -> Dimension:
    if "min_value" not in config:
        choices = config.get("values") or ([config["value"]] if "value" in config else [False, True])
        return Dimension(config["name"], config.get("default", choices[0]), tuple(choices))
    low, high = config["min_value"], config["max_value"]
    default = low if config["default"] is None else config["default"]
    return Dimension(
        config["name"], default, (), low, high, config["sampling"] in ("log", "reverse_log"), isinstance(low, int)
    )
