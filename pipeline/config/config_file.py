"""Reads and writes configurations as JSON files."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pipeline.config.presets import preset
from pipeline.config.settings import PipelineConfig
from shiftvit.config import from_dict, to_dict
from shiftvit.errors import ConfigError
from shiftvit.files import atomic, utf8


def save(config: PipelineConfig, path: Path) -> None:
    """Writes the resolved configuration as JSON, atomically."""
    atomic.write_file(path, json.dumps(to_dict(config), indent=2) + "\n")


def load(path: Path) -> PipelineConfig:
    """Reads a configuration: the preset that the file names, with the file's values on top.

    Raises:
        ConfigError: the file is missing or not JSON, or its values are not valid settings.
    """
    values = read(path)
    return build(path, values, values.get("preset", PipelineConfig.preset))


def read(path: Path) -> dict[str, Any]:
    """Returns the content of a configuration file, in which any setting may be missing; `build` checks the rest.

    Raises:
        ConfigError: the file is missing or not JSON, or its preset or source is not valid.
    """
    try:
        values = json.loads(utf8.read(path, ConfigError))
    except OSError as error:
        raise ConfigError(f"{path}: cannot read the configuration ({error.strerror})") from error
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"{path}: not a JSON configuration ({error})") from error
    try:
        from_dict(PipelineConfig, values if not isinstance(values, dict) else _top(values))
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from error
    return values


def build(path: Path, values: Mapping[str, Any], base: str) -> PipelineConfig:
    """Returns the preset `base` with the values of the file on top.

    Raises:
        ConfigError: the preset does not exist, or a value is not a valid setting; names the file.
    """
    try:
        return from_dict(PipelineConfig, _merged(to_dict(preset(base)), values))
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from error


def _top(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: values[name] for name in ("preset", "source") if name in values}


def _merged(tree: dict[str, Any], values: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the tree with all of `values`, also those that are not settings, which `from_dict` refuses."""
    both = {key: (tree.get(key), value) for key, value in values.items()}
    return tree | {
        key: _merged(old, new) if isinstance(old, dict) and isinstance(new, dict) else new
        for key, (old, new) in both.items()
    }
