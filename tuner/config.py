"""Settings of the hyperparameter search. Imports no TensorFlow."""

from dataclasses import dataclass, replace
from typing import Literal

from shiftvit.config import ExperimentConfig, require
from shiftvit.metrics import OBJECTIVE


@dataclass(frozen=True)
class TuneConfig:
    """The algorithm and the budget of the hyperparameter search.

    Hyperband trains many trials for one epoch and continues the best third of them, again and again; each continuation
    counts as a trial.
    """

    algorithm: Literal["random", "hyperband", "bayesian"] = "random"
    objective: str = OBJECTIVE  # after a trial's last epoch, on the eval split: val_loss, val_top1 or val_top5
    space: str = "tuner.space.declare"  # dotted name of the function that declares the hyperparameters
    trials: int = 4  # at most; 0: no search, train the configuration unchanged
    minutes: float = 0.0  # at most, for the whole search; 0: no limit
    epochs: int = 3  # per trial; the learning rate schedule has the same length
    steps_per_epoch: int = 0  # 0: the whole training split
    workers: int = 1  # trials at a time on this machine; they share its GPUs, or its cores if it has none
    early_stop: bool = True  # stops a trial that is worse than the median of the others; not with hyperband

    def __post_init__(self) -> None:
        for name in ("trials", "minutes", "steps_per_epoch"):
            require(getattr(self, name) >= 0, f"tune.{name} must not be negative")
        require(self.epochs > 0, "tune.epochs must be positive")
        require(self.workers >= 0, "tune.workers must not be negative; 0 leaves all trials to workers on other hosts")

    def trial_of(self, experiment: ExperimentConfig) -> ExperimentConfig:
        """Returns `experiment` with the epochs and steps of one trial."""
        train = replace(experiment.train, epochs=self.epochs, steps_per_epoch=self.steps_per_epoch)
        return replace(experiment, train=train)
