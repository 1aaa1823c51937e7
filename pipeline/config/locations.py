"""Makes the paths in a configuration absolute, so that it means the same in every working directory."""

import dataclasses

from pipeline.config.settings import PipelineConfig
from pipeline.config.source import absolute, absolute_source


def locate(config: PipelineConfig) -> PipelineConfig:
    """Returns the configuration with the paths of source, workspace and initial weights made absolute."""
    weights = config.train.initial_weights
    train = dataclasses.replace(config.train, initial_weights=str(absolute(weights)) if weights else "")
    return dataclasses.replace(
        config, source=absolute_source(config.source), workspace=str(absolute(config.workspace)), train=train
    )
