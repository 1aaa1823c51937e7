"""KerasTuner's three algorithms, made to survive a kill at any moment.

KerasTuner writes its state in place, and not always before a worker goes on: a kill can leave a file half written, a
trial that is never run again, or one that is run twice. Here files appear whole, and after a restart the files of the
trials, which are written first, decide what is done. This is the one file that leans on KerasTuner's inner state.
"""

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras_tuner
from keras_tuner import oracles

from tuner.config import TuneConfig
from tuner.search_folder import write_whole

_COMPLETED, _FAILED, _STOPPED = "COMPLETED", "FAILED", "STOPPED"
_NEVER = 1 << 30  # failures in a row that end a search: KerasTuner would hold its lock for ever after


class Recoverable:
    """What each algorithm has on top: whole files, a first trial with every default, and an end when time is over."""

    may_start: Callable[[], bool] = staticmethod(lambda: True)  # says whether there is time for another trial
    seconds = 0.0  # that the search has taken, in all attempts
    stopped = False  # whether a worker was told that there are no more trials

    def create_trial(self, tuner_id: str):
        """Returns the next trial for that worker, or one whose status tells it to wait or to stop."""
        trial = super().create_trial(tuner_id)
        self.stopped = self.stopped or trial.status == _STOPPED
        return trial

    @property
    def is_over(self) -> bool:
        """Says whether there are no more trials and none runs."""
        return self.stopped and not self.ongoing_trials

    def populate_space(self, trial_id: str) -> dict[str, Any]:
        """Returns the values of the next trial, or that there is to be none."""
        if not self.may_start():
            return {"status": _STOPPED, "values": None}
        return super().populate_space(trial_id)

    def _random_values(self) -> dict[str, Any] | None:
        """The first trial has every default, the configuration as it stands: the others are compared with it."""
        if self.trials:
            return super()._random_values()
        first = keras_tuner.HyperParameters()
        for dimension in self.hyperparameters.space:
            first.merge([dimension])
            if first.is_active(dimension):
                first.values[dimension.name] = dimension.default
        return first.values

    def get_state(self) -> dict[str, Any]:
        """Returns what oracle.json holds."""
        return super().get_state() | {"seconds": self.seconds}

    def set_state(self, state: dict[str, Any]) -> None:
        """Takes what oracle.json holds."""
        super().set_state(state)
        self.seconds = state["seconds"]

    def save(self) -> None:
        """Writes oracle.json."""
        write_whole(Path(self._get_oracle_fname()), self.get_state())

    def _save_trial(self, trial) -> None:
        write_whole(Path(self._get_trial_dir(trial.trial_id)) / "trial.json", trial.get_state())

    def reload(self) -> None:
        """Takes up what a killed search left: what ended stays, what ran is run again, from its last epoch."""
        super().reload()
        for trial_id in set(self.trials) - set(self.start_order):  # killed before any worker heard of it
            shutil.rmtree(self._get_trial_dir(trial_id))
        self.trials = {trial_id: self.trials[trial_id] for trial_id in self.start_order}
        ended = [trial.trial_id for trial in self.trials.values() if trial.status in (_COMPLETED, _FAILED)]
        self.end_order = ended
        self._retry_queue = [trial_id for trial_id in reversed(self.start_order) if trial_id not in ended]

    @property
    def is_started(self) -> bool:
        """Says whether there is something to take up."""
        return os.path.exists(self._get_oracle_fname())


class RandomSearch(Recoverable, oracles.RandomSearchOracle):
    """Random search."""


class BayesianOptimization(Recoverable, oracles.BayesianOptimizationOracle):
    """A Gaussian process and its upper confidence bound."""


class Hyperband(Recoverable, oracles.HyperbandOracle):
    """Hyperband, round after round until the budget ends; a failed trial's place is given to another."""

    def end_trial(self, trial) -> None:
        """Takes the end of a trial."""
        super().end_trial(trial)
        self._free_places_of_failed()

    def reload(self) -> None:
        """Takes up what a killed search left."""
        super().reload()
        self._free_places_of_failed()

    def _free_places_of_failed(self) -> None:
        """KerasTuner waits for a round to be full of completed trials, and with one failed it would never be."""
        for bracket in self._brackets:
            for place, entries in enumerate(bracket["rounds"]):
                bracket["rounds"][place] = [e for e in entries if not self._has_failed(e["id"])]

    def _has_failed(self, trial_id: str) -> bool:
        return trial_id in self.trials and self.trials[trial_id].status == _FAILED


def make_oracle(
    tune: TuneConfig, space: keras_tuner.HyperParameters, greater_is_better: bool, seed: int
) -> Recoverable:
    """Returns the algorithm of `tune` over the space; the same seed gives the same settings, given the same scores."""
    settings = {
        "objective": keras_tuner.Objective(tune.objective, "max" if greater_is_better else "min"),
        "hyperparameters": space,
        "seed": seed + 1,  # KerasTuner takes 0 for no seed
        "max_consecutive_failed_trials": _NEVER,
    }
    if tune.algorithm == "random":
        oracle = RandomSearch(max_trials=tune.trials, **settings)
    elif tune.algorithm == "bayesian":
        # KerasTuner's own number, three for each hyperparameter, is more than most budgets hold.
        first = min(max(tune.trials // 3, 3), 3 * len(space.space))
        oracle = BayesianOptimization(max_trials=tune.trials, num_initial_points=first, **settings)
    else:
        oracle = Hyperband(max_epochs=tune.epochs, hyperband_iterations=None, **settings)
        oracle.max_trials = tune.trials  # KerasTuner gives it none, and then TFX fails after the search
    oracle.verbose = 0
    return oracle
