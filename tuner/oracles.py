"""KerasTuner's three algorithms, made to survive a kill at any moment.

KerasTuner overwrites its state files in place, and some only after a worker has moved on. So a kill can leave a
half-written file, a trial that never runs again, or one that runs twice. Here every write is atomic, and after a
restart the files of the trials, which are written first, decide which trials have ended. No other module depends on
KerasTuner's internal state.
"""

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras_tuner
from keras_tuner import oracles
from keras_tuner.engine.trial import Trial as KerasTrial

from shiftvit.files import atomic
from shiftvit.metrics import OBJECTIVES
from shiftvit.ranges import MAX_SEED
from tuner.config import TuneConfig

_COMPLETED, _FAILED, _STOPPED = "COMPLETED", "FAILED", "STOPPED"  # KerasTuner's states
_MAX_FAILURES_IN_A_ROW = 1 << 30  # never reached: KerasTuner would end the search and hold its lock for ever


class RecoverableOracle(keras_tuner.Oracle):
    """Adds atomic files, a first trial with every default, and an end when the time is over to each algorithm.

    Attributes:
        may_start: returns False if there is no time for another trial.
        seconds: the time that the search has taken, in all attempts.
        stopped: whether a worker was refused a trial because there are no more.
    """

    trials: dict[str, KerasTrial]
    may_start: Callable[[], bool] = staticmethod(lambda: True)
    seconds = 0.0
    stopped = False

    def create_trial(self, tuner_id: str) -> KerasTrial:
        """Returns the next trial for that worker, or one whose status makes it wait or stop."""
        trial = super().create_trial(tuner_id)
        self.stopped = self.stopped or trial.status == _STOPPED
        return trial

    @property
    def is_over(self) -> bool:
        """Whether there are no more trials and none is running."""
        return self.stopped and not self.ongoing_trials

    def populate_space(self, trial_id: str) -> dict[str, Any]:
        """Returns the status and the values of the next trial; stops when the time is over."""
        if not self.may_start():
            return {"status": _STOPPED, "values": None}
        return super().populate_space(trial_id)

    def _random_values(self) -> dict[str, Any] | None:
        """Returns every default, the unchanged configuration, for the first trial, as a reference for the others."""
        if self.trials:
            return super()._random_values()
        first = keras_tuner.HyperParameters()
        for dimension in self.hyperparameters.space:
            first.merge([dimension])
            if first.is_active(dimension):
                first.values[dimension.name] = dimension.default
        return first.values

    def get_state(self) -> dict[str, Any]:
        """Returns the content of oracle.json."""
        return super().get_state() | {"seconds": self.seconds}

    def set_state(self, state: dict[str, Any]) -> None:
        """Restores what `get_state` returned."""
        super().set_state(state)
        self.seconds = state["seconds"]

    def save(self) -> None:
        """Writes oracle.json."""
        atomic.write_file(Path(self._get_oracle_fname()), json.dumps(self.get_state()))

    def _save_trial(self, trial: KerasTrial) -> None:
        path = Path(self._get_trial_dir(trial.trial_id)) / "trial.json"
        atomic.write_file(path, json.dumps(trial.get_state()))

    def reload(self) -> None:
        """Restores a killed search: keeps the trials that ended, and runs the others again from their last epochs."""
        super().reload()
        for trial_id in set(self.trials) - set(self.start_order):  # killed before any worker got the trial
            shutil.rmtree(self._get_trial_dir(trial_id))
        self.trials = {trial_id: self.trials[trial_id] for trial_id in self.start_order}
        ended = [trial.trial_id for trial in self.trials.values() if trial.status in (_COMPLETED, _FAILED)]
        self.end_order = ended
        self._retry_queue = [trial_id for trial_id in reversed(self.start_order) if trial_id not in ended]

    @property
    def is_started(self) -> bool:
        """Whether there is a search to resume."""
        return os.path.exists(self._get_oracle_fname())


class RandomSearch(RecoverableOracle, oracles.RandomSearchOracle):
    """Random search."""


class BayesianOptimization(RecoverableOracle, oracles.BayesianOptimizationOracle):
    """A Gaussian process with an upper confidence bound."""


class Hyperband(RecoverableOracle, oracles.HyperbandOracle):
    """Hyperband, one iteration after another until the budget ends; a new trial replaces a failed one."""

    def end_trial(self, trial: KerasTrial) -> None:
        """Records the end of a trial."""
        super().end_trial(trial)
        self._drop_failed()

    def reload(self) -> None:
        """Restores a killed search."""
        super().reload()
        self._drop_failed()

    def _drop_failed(self) -> None:
        """Removes failed trials from their rounds, because KerasTuner waits until a round is full of completed ones."""
        for bracket in self._brackets:
            for number, entries in enumerate(bracket["rounds"]):
                bracket["rounds"][number] = [entry for entry in entries if not self._has_failed(entry["id"])]

    def _has_failed(self, trial_id: str) -> bool:
        return trial_id in self.trials and self.trials[trial_id].status == _FAILED


def make_objective(name: str) -> keras_tuner.Objective:
    """Returns KerasTuner's form of an objective, with its direction."""
    return keras_tuner.Objective(name, "max" if OBJECTIVES[name] else "min")


def make_oracle(tune: TuneConfig, space: keras_tuner.HyperParameters, seed: int) -> RecoverableOracle:
    """Returns the algorithm of `tune`; the same seed and the same scores give the same settings."""
    settings = {
        "objective": make_objective(tune.objective),
        "hyperparameters": space,
        "seed": (seed + 1) & MAX_SEED or 1,  # KerasTuner treats 0 as no seed
        "max_consecutive_failed_trials": _MAX_FAILURES_IN_A_ROW,
    }
    oracle: RecoverableOracle
    if tune.algorithm == "random":
        oracle = RandomSearch(max_trials=tune.trials, **settings)
    elif tune.algorithm == "bayesian":
        # KerasTuner's default, three random trials per hyperparameter, exceeds most budgets.
        random_trials = min(max(tune.trials // 3, 3), 3 * len(space.space))
        oracle = BayesianOptimization(max_trials=tune.trials, num_initial_points=random_trials, **settings)
    else:
        oracle = Hyperband(max_epochs=tune.epochs, hyperband_iterations=None, **settings)
        oracle.max_trials = tune.trials  # KerasTuner leaves it unset, which makes TFX fail after the search
    oracle.verbose = 0
    return oracle
