"""Runs benchmarks by name."""

from benchmarks import input as loading
from benchmarks import latency, layers, step
from benchmarks.table import Table
from shiftvit.config import ExperimentConfig

_RUN = {"step": step.run, "layers": layers.run, "input": loading.run, "latency": latency.run}


def run(name: str, config: ExperimentConfig, seconds: float) -> list[Table]:
    """Returns the tables of the benchmark `name`, one of `benchmarks.NAMES`.

    Args:
        name: which benchmark.
        config: what is trained, loaded and exported.
        seconds: how long to measure for each table; it takes longer where three rounds do.

    Raises:
        ConfigError: when the benchmark has nothing to compare with such a configuration.
    """
    return _RUN[name](config, seconds)
