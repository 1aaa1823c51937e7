"""Checks before a run what its settings do not show by themselves: files, libraries, devices, and the data once known.

Whatever runs, trains, searches or compiles calls these, so none of them fails late at what another knows early.
"""

import contextlib
import io
from dataclasses import dataclass, replace

from components.example_gen.records import IMAGE_SIZE
from pipeline.config.beam import BeamConfig
from pipeline.config.settings import PipelineConfig
from pipeline.config.source import CSV, FOLDER, SHAPES, TFDS, absolute, parse_source
from pipeline.runners import beam
from pipeline.sources.file_sources import DEFAULT_SIZE
from pipeline.sources.shapes import CLASS_NAMES
from shiftvit.config import ExperimentConfig, ImageData, TrainConfig, require
from shiftvit.errors import ConfigError


@dataclass(frozen=True)
class _Known:
    """A data set whose facts do not depend on files, as ImageData."""

    num_classes: int
    image_size: int = IMAGE_SIZE


_KNOWN = {SHAPES: _Known(len(CLASS_NAMES)), TFDS: _Known(num_classes=10)}
_CIFAR10_IMAGES = 50_000


def check(config: PipelineConfig) -> None:
    """Checks what is known before anything is read or written. Imports nothing heavy.

    Raises:
        ConfigError: a file or a library is missing, or the settings do not fit a data set that is known by its name.
    """
    beam.arguments(config.beam)
    check_files(config.train)
    kind, _ = parse_source(config.source)
    if kind in (FOLDER, CSV):  # whose images are stored in a known size
        data = replace(config.data, image_size=config.data.image_size or DEFAULT_SIZE)
        ExperimentConfig(config.model, data, config.train)
    if kind in _KNOWN:
        check_data(config, _KNOWN[kind], config.shapes.train if kind == SHAPES else _CIFAR10_IMAGES)


def check_files(train: TrainConfig) -> None:
    """Raises ConfigError if a file that the training starts from is not there."""
    weights = train.initial_weights
    require(not weights or absolute(weights).is_file(), f"train.initial_weights={weights}: no such file")


def check_data(config: PipelineConfig, data: ImageData, images: int) -> ExperimentConfig:
    """Returns the experiment of `config` made for data with so many images in the training split.

    Raises:
        ConfigError: settings of the model, the training or the search do not fit the data.
    """
    experiment = config.experiment.for_data(data)
    experiment.train.check_split(images)
    if config.tune.trials:
        config.tune.trial_of(experiment).train.check_split(images)
        config.tune.check_classes(data.num_classes)
    return experiment


def check_machine(config: PipelineConfig, experiment: ExperimentConfig) -> None:
    """Checks what needs the network or a large library: Beam's engine and flags, the devices here, and the search.

    It declares logical devices, so it must run before TensorFlow starts.

    Args:
        config: of the run.
        experiment: that of `config`, or the same made for its data.

    Raises:
        ConfigError: the engine, the devices or what the search needs are not there, or Beam cannot read a flag.
    """
    from shiftvit.strategy import make_strategy

    beam.check_engine(config.beam)
    check_flags(config.beam)
    config.train.check_devices(make_strategy(config.train.replicas).num_replicas_in_sync)
    if config.tune.trials:
        from tuner import search

        search.check(config.tune, experiment)


def check_flags(config: BeamConfig) -> None:
    """Raises ConfigError if Beam cannot read the value of a flag; later, Beam would end the process with its usage."""
    if not config.options:
        return
    from apache_beam.options.pipeline_options import PipelineOptions

    said = io.StringIO()
    try:
        with contextlib.redirect_stderr(said):
            PipelineOptions(beam.arguments(config)).get_all_options()
    except SystemExit as error:
        raise ConfigError(f"beam.options: {said.getvalue().strip().rpartition('error: ')[2]}") from error
