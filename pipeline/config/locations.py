"""The data source and the paths that a configuration names."""

import dataclasses
from pathlib import Path

from pipeline.config.settings import PipelineConfig

SHAPES, TFDS, PATH = "shapes", "tfds", "path"  # kinds of source


PREFIXES = (TFDS,)  # those that a source names as KIND or KIND:PATH


def parse_source(source: str) -> tuple[str, Path | None]:
    """Returns SHAPES, one of PREFIXES or PATH, and the absolute path that `source` gives, if any."""
    if source == SHAPES:
        return SHAPES, None
    name, _, place = source.partition(":")
    if name in PREFIXES:
        return name, _absolute(place) if place else None
    return PATH, _absolute(source)


def locate(config: PipelineConfig) -> PipelineConfig:
    """Returns `config` with its paths made absolute, so that it means the same from every folder."""
    kind, path = parse_source(config.source)
    source = kind if path is None else f"{kind}:{path}" if kind in PREFIXES else str(path)
    weights = config.train.initial_weights
    train = dataclasses.replace(config.train, initial_weights=str(_absolute(weights)) if weights else "")
    return dataclasses.replace(config, source=source, workspace=str(_absolute(config.workspace)), train=train)


def _absolute(path: str) -> Path:
    return Path(path).expanduser().absolute()
