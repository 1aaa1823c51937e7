"""Settings of the hyperparameter search. Imports no TensorFlow."""

from dataclasses import dataclass, replace
from typing import Literal

from shiftvit.config import ExperimentConfig, require, suggest
from shiftvit.metrics import MIN_TOP5_CLASSES, OBJECTIVE, OBJECTIVES, TOP5, has_top5, of_eval
from shiftvit.ranges import check_ranges, number


@dataclass(frozen=True)
class TuneConfig:
    """The algorithm and the budget of the hyperparameter search.

    Hyperband trains many trials for one epoch and continues the best third of them, again and again; each continuation
    counts as a trial.
    """

    algorithm: Literal["random", "hyperband", "bayesian"] = "random"
    objective: str = OBJECTIVE  # after a trial's last epoch, on the eval split: val_loss, val_top1 or val_top5
    space: str = "tuner.space.declare"  # dotted name of the function that declares the hyperparameters
    trials: int = number(4, 0, 10**6)  # at most; 0: no search, train the configuration unchanged
    minutes: float = number(0.0, 0.0, 10.0**6)  # at most, for the whole search; 0: no limit
    epochs: int = number(3, 1, 10**6)  # per trial; the learning rate schedule has the same length
    steps_per_epoch: int = number(0, 0, 10**9)  # 0: the whole training split
    workers: int = number(1, 0, 1024)  # trials at a time here; they share the GPUs or cores; 0: all on other hosts
    early_stop: bool = True  # stops a trial that is worse than the median of the others; not with hyperband

    def __post_init__(self) -> None:
        check_ranges(self, "tune")
        require(
            self.objective in OBJECTIVES,
            f"tune.objective={self.objective} is not recorded; {suggest(self.objective, OBJECTIVES)}",
        )

    def check_classes(self, classes: int) -> None:
        """Raises ConfigError if the objective is not measured on data with so many classes; 0 if that is unknown."""
        require(
            self.objective != of_eval(TOP5) or classes == 0 or has_top5(classes),
            f"tune.objective={self.objective} needs at least {MIN_TOP5_CLASSES} classes, and the data has {classes}: "
            f"top-5 of so few is always 100%; use {OBJECTIVE}",
        )

    def trial_of(self, experiment: ExperimentConfig) -> ExperimentConfig:
        """Returns `experiment` with the epochs and steps of one trial."""
        train = replace(experiment.train, epochs=self.epochs, steps_per_epoch=self.steps_per_epoch)
        return replace(experiment, train=train)
