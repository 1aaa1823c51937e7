"""The budget of the hyperparameter search."""

from dataclasses import dataclass

from shiftvit.config import require


@dataclass(frozen=True)
class TuneConfig:
    """How many settings are tried, and for how long each."""

    trials: int = 4
    epochs: int = 3  # of each trial, with a schedule of that length
    steps_per_epoch: int = 0  # 0: the whole training split

    def __post_init__(self):
        require(self.trials > 0, "tune.trials must be positive")
        require(self.epochs > 0, "tune.epochs must be positive")
        require(self.steps_per_epoch >= 0, "tune.steps_per_epoch must not be negative")
