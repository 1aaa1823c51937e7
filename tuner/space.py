"""The search space. A hyperparameter's name is the dotted name of the setting that it changes."""

import dataclasses
import importlib
import typing
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import keras_tuner

from shiftvit.config import ExperimentConfig, ModelConfig, convert, from_dict, require, suggest, to_dict
from shiftvit.errors import ConfigError, one_line
from shiftvit.ranges import Range, range_of
from tuner.results import Dimension

Space = Callable[[keras_tuner.HyperParameters, ExperimentConfig], None]

_WIDTHS = (0.75, 1.25)  # factors of the channels of all stages: about half and one and a half times the cost
_BOOKKEEPING = "tuner/"  # prefix of the values in which Hyperband records what a trial continues


def declare(hp: keras_tuner.HyperParameters, experiment: ExperimentConfig) -> None:
    """Declares the space around `experiment`, whose settings are the defaults.

    A trial is far shorter than the final training, and short training always prefers less regularisation. So the ranges
    are limited to values that work well in long training.
    """
    model, data, train = experiment.model, experiment.data, experiment.train
    # Below a third, training is slow; above three times, the loss spikes. A wider range only adds failing trials.
    _around(hp, "train.learning_rate", train.learning_rate, 3)
    # Decay acts through its product with the learning rate, so its range must be wider than that of the rate.
    if train.weight_decay:
        _around(hp, "train.weight_decay", train.weight_decay, 4)
    _choice(hp, "train.label_smoothing", [0.0, 0.05, 0.1], train.label_smoothing)  # more harms calibration
    # Averages over about 100 and 500 updates; in a short trial, a longer average would contain the initial weights.
    _choice(hp, "train.ema_decay", [0.0, 0.99, 0.998], train.ema_decay)
    _choice(hp, "model.drop_path", [0.0, 0.05, 0.1, 0.2], model.drop_path)  # small networks need little
    _choice(hp, "model.dropout", [0.0, 0.1], model.dropout)  # adds little to drop path
    # Batch norm and ReLU learned faster here; the published group norm works with small batches too.
    _choice(hp, "model.norm", ["group1", "batch"], model.norm)
    _choice(hp, "model.activation", ["gelu", "relu"], model.activation)
    sizes = sorted({model.dims, *(_scaled(model, width) for width in _WIDTHS)})
    hp.Choice("model.dims", [_join(dims) for dims in sizes], default=_join(model.dims))
    if data.crop_padding or data.flip:  # else the experiment avoids augmentation, as it may change the class
        _declare_augmentation(hp, experiment)


def _declare_augmentation(hp: keras_tuner.HyperParameters, experiment: ExperimentConfig) -> None:
    data = experiment.data
    operations = "data.randaugment_ops"
    _choice(hp, operations, [0, 1, 2], data.randaugment_ops)  # more destroy images of 32 pixels, as published
    with hp.conditional_scope(operations, [1, 2]):
        hp.Float("data.randaugment_magnitude", 0.2, 0.8, default=min(max(data.randaugment_magnitude, 0.2), 0.8))
    for name in ("mixup", "cutmix"):  # at most half each, since an image gets one or the other
        _choice(hp, f"data.{name}", [0.0, 0.25, 0.5], min(getattr(data, name), 0.5))


def _around(hp: keras_tuner.HyperParameters, name: str, value: float, factor: float) -> None:
    limits = _limits(name)
    least, most = max(value / factor, limits.least), min(value * factor, limits.most)
    hp.Float(name, least, most, sampling="log", default=value)


def _limits(name: str) -> Range:
    _, limits = _find_setting(name)
    assert limits is not None
    return limits


def _choice(hp: keras_tuner.HyperParameters, name: str, values: Sequence[Any], default: Any) -> None:
    hp.Choice(name, sorted({*values, default}), default=default)


def _scaled(model: ModelConfig, width: float) -> tuple[int, ...]:
    most = int(_limits("model.dims").most)
    return tuple(min(max(model.n_div, round(channels * width / 8) * 8), most) for channels in model.dims)


def _join(values: Sequence[int]) -> str:
    """Writes a list as --set accepts it, because KerasTuner's choices are numbers or strings."""
    return ",".join(map(str, values))


def load(name: str) -> Space:
    """Imports the function that declares a space.

    Raises:
        ConfigError: if it cannot be imported or is not callable.
    """
    module, _, attribute = name.rpartition(".")
    try:
        function = getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError, ValueError, SyntaxError) as error:
        raise ConfigError(
            f"tune.space={name}: cannot be imported ({error}); it must be the dotted name of a function in a module "
            "on PYTHONPATH, such as tuner.space.declare"
        ) from error
    require(callable(function), f"tune.space={name} is not a function")
    return function


def make(name: str, experiment: ExperimentConfig) -> keras_tuner.HyperParameters:
    """Returns the space that the function `name` declares around `experiment`.

    Raises:
        ConfigError: if the function cannot be imported, or the space is empty, does not fit the experiment, or has
            values that a setting cannot have.
    """
    hp = keras_tuner.HyperParameters()
    declare = load(name)
    try:
        declare(hp, experiment)
    except Exception as error:  # it may be the user's own function
        raise ConfigError(f"tune.space={name}: {type(error).__name__}: {one_line(error)}") from error
    require(bool(hp.space), f"tune.space={name} declares no hyperparameter, so there is nothing to search")
    try:
        apply(hp.values, experiment)
        for dimension in describe(hp):
            _check(dimension)
    except ConfigError as error:
        raise ConfigError(f"tune.space={name}: {error}") from error
    return hp


def _check(dimension: Dimension) -> None:
    """Raises ConfigError, which names the setting, for a value that it cannot have whatever the others are."""
    kind, limits = _find_setting(dimension.name)
    is_list = typing.get_origin(kind) is tuple
    for value in dimension.choices or (dimension.low, dimension.high):
        converted = convert(_split(value) if is_list else value, kind, dimension.name)
        for each in converted if is_list else (converted,):
            if limits is not None:
                limits.check(each, dimension.name)


def _find_setting(name: str) -> tuple[Any, Range | None]:
    """Returns the type and the range, if any, of a setting of an experiment; raises ConfigError if there is none."""
    kind, limits, path = ExperimentConfig, None, ""
    for part in name.split("."):
        fields = {each.name: each for each in dataclasses.fields(kind)} if dataclasses.is_dataclass(kind) else {}
        require(part in fields, f"unknown key {name}; {suggest(part, fields, path)}")
        kind, limits, path = typing.get_type_hints(kind)[part], range_of(fields[part]), part
    return kind, limits


def apply(values: Mapping[str, Any], experiment: ExperimentConfig) -> ExperimentConfig:
    """Returns `experiment` with the values of the hyperparameters; ignores Hyperband's bookkeeping.

    Raises:
        ConfigError: if a name is not a setting of the experiment, or its value is invalid.
    """
    tree = to_dict(experiment)
    for name, value in without_bookkeeping(values).items():
        group, _, key = name.partition(".")
        table = tree.setdefault(group, {})
        table[key] = _split(value) if isinstance(table.get(key), list) else value
    return from_dict(ExperimentConfig, tree)


def _split(value: Any) -> Any:
    try:
        return [int(part) for part in str(value).split(",")]
    except ValueError:
        return value  # rejected by `from_dict`, whose message names the setting


def without_bookkeeping(values: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the values of the hyperparameters, without Hyperband's bookkeeping."""
    return {name: value for name, value in values.items() if not name.startswith(_BOOKKEEPING)}


def describe(hp: keras_tuner.HyperParameters) -> list[Dimension]:
    """Returns the dimensions of the space for the results."""
    return [_describe(dimension.get_config()) for dimension in hp.space]


def _describe(config: Mapping[str, Any]) -> Dimension:
    if "min_value" not in config:
        choices = config.get("values") or ([config["value"]] if "value" in config else [False, True])
        return Dimension(config["name"], config.get("default", choices[0]), tuple(choices))
    low, high = config["min_value"], config["max_value"]
    default = low if config["default"] is None else config["default"]
    log, integer = config["sampling"] in ("log", "reverse_log"), isinstance(low, int)
    return Dimension(config["name"], default, low=low, high=high, log=log, integer=integer)
