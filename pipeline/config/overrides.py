"""Applies `--set KEY=VALUE` to a configuration."""

import dataclasses
import json
from collections.abc import Iterable
from typing import Any

from pipeline.config.settings import PipelineConfig
from shiftvit.config import from_dict, require, suggest, to_dict
from shiftvit.errors import ConfigError
from shiftvit.variants import variant


def override(config: PipelineConfig, settings: Iterable[str]) -> PipelineConfig:
    """Returns `config` with each KEY=VALUE applied, in order.

    KEY is a dotted name, and VALUE is JSON, plain text, or a list such as 1,2,3. `model=NAME` sets all of `model` to a
    published variant with our number of classes. `preset` cannot change: it is chosen before, see `last_value`.

    Raises:
        ConfigError: a key is unknown, a value has the wrong type or range, or a setting has no `=`.
    """
    values = to_dict(config)
    for setting in settings:
        key, separator, text = setting.partition("=")
        require(separator, f"--set {setting}: expected KEY=VALUE, such as train.epochs=20")
        *groups, leaf = key.split(".")
        table = values
        for depth, group in enumerate(groups):
            path = ".".join(groups[:depth])
            require(isinstance(table.get(group), dict), f"unknown key {key}; {suggest(group, table, path)}")
            table = table[group]
        _set_leaf(table, leaf, text, key)
    return from_dict(PipelineConfig, values)


def last_value(settings: Iterable[str], key: str) -> str | None:
    """Returns the value that the last of the KEY=VALUE gives a setting, or None if none of them sets it."""
    values = [text for name, _, text in (setting.partition("=") for setting in settings) if name == key]
    return values[-1] if values else None


def _set_leaf(table: dict[str, Any], leaf: str, text: str, key: str) -> None:
    require(leaf in table, f"unknown key {key}; {suggest(leaf, table, key.rpartition('.')[0])}")
    if key == "preset":  # what it stands for is below the values in `table`
        require(text == table[leaf], f"preset={text} cannot change a configuration made from preset {table[leaf]}")
    elif key == "model":
        table[leaf] = to_dict(dataclasses.replace(variant(text), num_classes=0))  # not ImageNet's
    elif isinstance(table[leaf], dict):
        raise ConfigError(f"{key} is a group of settings; {suggest('', table[leaf], key)}")
    else:
        table[leaf] = _parse(text, table[leaf])


def _parse(text: str, current: Any) -> Any:
    if isinstance(current, str):
        return text
    if isinstance(current, list) and not text.startswith("["):
        return [_parse(item, None) for item in text.split(",")] if text else []
    try:
        return json.loads(text)
    except (ValueError, RecursionError):  # not JSON, or with a number of thousands of digits, or far too deep
        return text
