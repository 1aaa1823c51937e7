"""Benchmarks of the training step, the layers, the input pipeline and the exported model. Imports no TensorFlow."""

from shiftvit.config import require, suggest

NAMES = ("step", "layers", "input", "latency")
PRESET = "keras-example"
# Our recipe at the example's dimensions, the default. It has no dropout, so `step` adds a row with the example's rates.
SETTINGS = ("model.dropout=0", "model.drop_path=0.05", "train.clip_norm=1")


def check_names(names: list[str]) -> None:
    """Checks that each name is that of a benchmark.

    Raises:
        ConfigError: for the first that is not.
    """
    for name in names:
        require(name in NAMES, f"unknown benchmark {name!r}; {suggest(name, NAMES)}")
