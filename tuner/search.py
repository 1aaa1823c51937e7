"""The search: KerasTuner over the same training that the Trainer runs."""

from collections.abc import Sequence

import keras_tuner

from shiftvit import train
from shiftvit.callbacks import ReportProgress
from shiftvit.config import ExperimentConfig
from shiftvit.errors import UserError
from shiftvit.metrics import OBJECTIVE
from tuner import space


class Trial(keras_tuner.HyperModel):
    """Trains one setting of the space."""

    def __init__(
        self, experiment: ExperimentConfig, trials: int, train_files: Sequence[str], eval_files: Sequence[str]
    ):
        super().__init__()
        self.experiment, self.trials, self.fitted = experiment, trials, 0
        self.train_files, self.eval_files = train_files, eval_files
        self.steps = train.steps_per_epoch(experiment.train, train_files)

    def build(self, hp):
        """Returns the compiled model of the setting `hp`."""
        space.declare(hp)
        return train.compile_model(space.apply(hp, self.experiment), self.steps * self.experiment.train.epochs)

    def fit(self, hp, model, callbacks=()):
        """Trains the model of `build` and returns its history."""
        reporter = ReportProgress("tune", self.steps, self.experiment.train.epochs, self.fitted, self.trials)
        self.fitted += 1
        return train.fit(
            model,
            space.apply(hp, self.experiment),
            self.train_files,
            self.eval_files,
            self.steps,
            [*callbacks, reporter],
        )


class Search(keras_tuner.RandomSearch):
    """A random search in which a trial may fail, one too large for the memory say, but not every trial."""

    def on_search_end(self):
        """Raises UserError when no trial has a score."""
        super().on_search_end()
        if all(trial.score is None for trial in self.oracle.trials.values()):
            raise UserError("every trial of the search failed; the log has a traceback of each")


def make_tuner(
    experiment: ExperimentConfig, trials: int, train_files: Sequence[str], eval_files: Sequence[str], directory: str
) -> keras_tuner.Tuner:
    """Returns a random search whose `search()` needs no arguments.

    Args:
        experiment: what each trial trains, with the budget of a trial; the space is applied to it.
        trials: how many settings are tried.
        train_files: patterns of TFRecord files of the training split.
        eval_files: patterns of TFRecord files of the eval split, which the objective is measured on.
        directory: where the results go.

    Raises:
        ConfigError: when the space does not fit the experiment, or the training split holds less than one batch.
    """
    _check_space(experiment)
    return Search(
        Trial(experiment, trials, train_files, eval_files),
        objective=keras_tuner.Objective(OBJECTIVE, "max"),
        max_trials=trials,
        seed=experiment.train.seed,
        directory=directory,
        project_name="search",
        max_consecutive_failed_trials=trials + 1,
    )  # never: how many may fail is for Search to say


def _check_space(experiment: ExperimentConfig) -> None:
    """Applies the space once, since KerasTuner would take a mistake in it for a trial that failed."""
    hp = keras_tuner.HyperParameters()
    space.declare(hp)
    space.apply(hp, experiment)
