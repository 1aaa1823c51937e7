"""The algorithm and the budget of the hyperparameter search. Imports no TensorFlow."""

from dataclasses import dataclass, replace
from typing import Literal

from shiftvit.config import ExperimentConfig, require


@dataclass(frozen=True)
class TuneConfig:
    """How settings are chosen, how many are tried, and for how long each.

    Hyperband starts many trials for an epoch and goes on with the best third of them at a time; its trials are those
    goings-on too.
    """

    algorithm: Literal["random", "hyperband", "bayesian"] = "random"
    objective: str = "val_top1"  # after a trial's last epoch, on the eval split: val_loss, val_top1 or val_top5
    space: str = "tuner.space.declare"  # the function that declares the hyperparameters
    trials: int = 4  # at most; 0: no search, the configuration is trained as it is
    minutes: float = 0.0  # at most, for the search as a whole; 0: no limit
    epochs: int = 3  # of each trial, with a schedule of that length
    steps_per_epoch: int = 0  # 0: the whole training split
    workers: int = 1  # trials at a time on this machine, which share out its GPUs, or else its cores
    early_stop: bool = True  # gives up a trial that is worse than the median of the others; not with hyperband

    def __post_init__(self):
        require(self.trials >= 0, "tune.trials must not be negative")
        require(self.minutes >= 0, "tune.minutes must not be negative")
        require(self.epochs > 0, "tune.epochs must be positive")
        require(self.steps_per_epoch >= 0, "tune.steps_per_epoch must not be negative")
        require(self.workers >= 0, "tune.workers must not be negative; 0 leaves all trials to workers on other hosts")

    def trial_of(self, experiment: ExperimentConfig) -> ExperimentConfig:
        """Returns `experiment` with the budget of one trial."""
        return replace(
            experiment, train=replace(experiment.train, epochs=self.epochs, steps_per_epoch=self.steps_per_epoch)
        )
