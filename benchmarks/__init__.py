"""Benchmarks of the training step, the layers, the input pipeline and the exported model. Imports no TensorFlow."""

from shiftvit.config import require, suggest

NAMES = ("step", "layers", "input", "latency")
PRESET = "keras-example"
# The recipe at the example's dimensions, where no preset is named; what dropout costs has a row of its own.
SETTINGS = ("model.dropout=0", "model.drop_path=0.05", "train.clip_norm=1")


def check_names(names: list[str]) -> None:
    """Checks that there is a benchmark of each name.

    Raises:
        ConfigError: when there is not.
    """
    for name in names:
        require(name in NAMES, f"unknown benchmark {name!r}; {suggest(name, NAMES)}")
