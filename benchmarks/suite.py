"""Runs benchmarks by name."""

from benchmarks import input_pipeline, latency, layers, step
from benchmarks.records import DATASET
from benchmarks.table import Table
from shiftvit.config import ExperimentConfig

_RUN = {"step": step.run, "layers": layers.run, "input": input_pipeline.run, "latency": latency.run}


def run(name: str, config: ExperimentConfig, seconds: float) -> list[Table]:
    """Returns the tables of the benchmark `name`, one of `benchmarks.NAMES`.

    Args:
        name: of the benchmark.
        config: the model and training to measure.
        seconds: how long to measure for each table, but at least three rounds.

    Raises:
        ConfigError: when the benchmark does not support the configuration.
    """
    return _RUN[name](config.for_data(DATASET), seconds)
