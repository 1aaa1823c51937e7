"""Reads and writes a configuration as a JSON file."""

import json
from pathlib import Path

from pipeline.config.settings import PipelineConfig
from shiftvit.config import from_dict, to_dict
from shiftvit.errors import ConfigError
from shiftvit.files import atomic


def save(config: PipelineConfig, path: Path) -> None:
    """Writes the resolved configuration as JSON, atomically."""
    atomic.write_file(path, json.dumps(to_dict(config), indent=2) + "\n")


def load(path: Path) -> PipelineConfig:
    """Reads a configuration that `save` wrote.

    Raises:
        ConfigError: the file is missing or not JSON, or its values are not valid settings.
    """
    try:
        return from_dict(PipelineConfig, json.loads(path.read_text()))
    except OSError as error:
        raise ConfigError(f"{path}: cannot read the configuration ({error.strerror})") from error
    except ValueError as error:
        raise ConfigError(f"{path}: not a JSON configuration ({error})") from error
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from error
