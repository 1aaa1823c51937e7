"""The budget of the hyperparameter search."""

from dataclasses import dataclass, replace

from shiftvit.config import ExperimentConfig, require


@dataclass(frozen=True)
class TuneConfig:
    """How many settings are tried, and for how long each."""

    trials: int = 4  # 0: no search, the configuration is trained as it is
    epochs: int = 3  # of each trial, with a schedule of that length
    steps_per_epoch: int = 0  # 0: the whole training split

    def __post_init__(self):
        require(self.trials >= 0, "tune.trials must not be negative")
        require(self.epochs > 0, "tune.epochs must be positive")
        require(self.steps_per_epoch >= 0, "tune.steps_per_epoch must not be negative")

    def trial_of(self, experiment: ExperimentConfig) -> ExperimentConfig:
        """Returns `experiment` with the budget of one trial."""
        return replace(
            experiment, train=replace(experiment.train, epochs=self.epochs, steps_per_epoch=self.steps_per_epoch)
        )
