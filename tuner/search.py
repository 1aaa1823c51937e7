"""The search: KerasTuner's oracle in this process, trials in processes of workers, results in a folder."""

import os
import time
from collections.abc import Sequence
from pathlib import Path

import keras_tuner
from keras_tuner.engine.base_tuner import BaseTuner

from shiftvit import progress
from shiftvit.config import ExperimentConfig, require, suggest
from shiftvit.errors import UserError
from shiftvit.metrics import OBJECTIVES
from tuner import chief, devices, space
from tuner.config import TuneConfig
from tuner.oracles import make_oracle
from tuner.results import FAILED, RUNNING, Results, Trial
from tuner.search_folder import SearchFolder, Task, read_if_there, write_whole
from tuner.time_budget import Clock
from tuner.worker import CHIEF_VARIABLES, ID_VARIABLE

_POLL = 1.0  # seconds
_FAREWELL = 10.0  # seconds
_LOST_AFTER = 1800.0  # seconds without a word from a trial; a worker that lives would have ended it by then


def check(tune: TuneConfig, experiment: ExperimentConfig) -> None:
    """Refuses a search that cannot be run, before anything is.

    Raises:
        ConfigError: for an objective that is not recorded, a space that is empty or does not fit the experiment, or
            more workers than devices.
    """
    require(
        tune.objective in OBJECTIVES,
        f"tune.objective={tune.objective} is not recorded; {suggest(tune.objective, OBJECTIVES)}",
    )
    space.make(tune.space, experiment)
    devices.check(tune, experiment)
    if CHIEF_VARIABLES[0] in os.environ:
        require(
            "chief" in os.environ.get(ID_VARIABLE, ""),
            f"{ID_VARIABLE} must be chief for this command, since {CHIEF_VARIABLES[0]} is set; "
            "a worker is started with `python -m tuner.worker FOLDER`",
        )


class Search(BaseTuner):
    """A search in `directory`, which it takes up where a killed one left off. TFX's Tuner takes it for a tuner.

    Args:
        tune: algorithm and budget.
        experiment: what the search is for; a trial has the budget of `tune` in place of its own.
        train_files: patterns of TFRecord files of the training split.
        eval_files: patterns of TFRecord files of the eval split, which the objective is measured on.
        directory: where trials and results are kept.

    Raises:
        ConfigError: see `check`.
    """

    def __init__(
        self,
        tune: TuneConfig,
        experiment: ExperimentConfig,
        train_files: Sequence[str],
        eval_files: Sequence[str],
        directory: Path,
    ):
        check(tune, experiment)
        self.folder, self.tune = SearchFolder(directory), tune
        self.folder.save_task(Task(tune, tune.trial_of(experiment), train_files, eval_files))
        self.space = space.make(tune.space, experiment)
        self.greater_is_better = OBJECTIVES[tune.objective]
        oracle = make_oracle(tune, self.space.copy(), self.greater_is_better, experiment.train.seed)
        super().__init__(oracle, directory=str(directory.parent), project_name=directory.name)
        if oracle.is_started:
            oracle.reload()
        self._heard: dict[str, tuple[float, object]] = {}
        self._over_since = 0.0

    def search(self) -> None:
        """Runs trials until the budget ends.

        Raises:
            ConfigError: when the minutes do not do for one trial.
            UserError: when a worker dies again and again, or no trial has a score.
        """
        self.folder.stop.unlink(missing_ok=True)
        started = time.monotonic() - self.oracle.seconds
        clock = Clock(self.tune, self.folder, self.oracle)
        clock.require_time_for_one()
        self.oracle.may_start = clock.allows_another
        with (
            chief.serve(self.oracle) as address,
            chief.Workers(self.folder.path, address, devices.shares(self.tune.workers)) as workers,
        ):
            while not (workers.are_done() and self._is_over()):
                time.sleep(_POLL)
                self.oracle.seconds = time.monotonic() - started
                workers.replace_dead(len(self.oracle.end_order))
                clock.stop_when_over()
                self._give_up_lost()
                self._report()
        self.oracle.save()
        self._report()
        self._require_a_score()

    def get_best_hyperparameters(self, num_trials: int = 1) -> list[keras_tuner.HyperParameters]:
        """Returns those of the best trials, best first, without what Hyperband notes beside them."""
        best = [hyperparameters.copy() for hyperparameters in super().get_best_hyperparameters(num_trials)]
        for hyperparameters in best:
            hyperparameters.values = space.searched(hyperparameters.values)
        return best

    def results(self) -> Results:
        """Returns what has come of the search so far."""
        return Results(
            algorithm=self.tune.algorithm,
            objective=self.tune.objective,
            greater_is_better=self.greater_is_better,
            space=space.describe(self.space),
            trials=[self._read(trial) for trial in list(self.oracle.trials.values())],
            epochs=self.tune.epochs,
            budget={"trials": self.tune.trials, "minutes": self.tune.minutes, "workers": self.tune.workers},
            seconds=round(self.oracle.seconds, 1),
        )

    def _read(self, trial) -> Trial:
        own = self.folder.trial(trial.trial_id)
        told = read_if_there(own.progress)
        ended = {} if trial.status == "RUNNING" else read_if_there(own.end)
        curve = own.curve()
        return Trial(
            id=trial.trial_id,
            state=ended.get("state", RUNNING),
            values=space.searched(trial.hyperparameters.values),
            score=None if ended.get("state", FAILED) == FAILED else trial.score,
            cause=ended.get("cause"),
            seconds=told.get("seconds", 0.0),
            epochs=len(curve),
            worker=told.get("worker", ""),
            curve=curve,
        )

    def _report(self) -> None:
        results = self.results()
        trials = [self._describe(trial) for trial in results.trials]
        done = sum(1 if t.state != RUNNING else t.epochs / t.total_epochs for t in trials)
        best = results.leaderboard()
        progress.report("tune", done, self.tune.trials, "trial", **({"best": best[0].score} if best else {}))
        if self.tune.minutes:
            spent = min(results.seconds / 60, self.tune.minutes)
            progress.report("time", spent, self.tune.minutes, "minute")
        progress.report_trials(trials, self.greater_is_better)

    def _describe(self, trial: Trial) -> progress.TrialStatus:
        told = read_if_there(self.folder.trial(trial.id).progress)
        newest = trial.curve[-1][self.tune.objective] if trial.state == RUNNING and trial.curve else trial.score
        return progress.TrialStatus(
            id=trial.id,
            state=trial.state,
            score=newest,
            epochs=told.get("epochs", 0.0),
            total_epochs=told.get("of", self.tune.epochs),
            seconds=trial.seconds,
            cause=trial.cause,
            values=trial.values,
            worker=trial.worker,
        )

    def _is_over(self) -> bool:
        """Says whether there is nothing to wait for: a worker of another host hears of the end at its next request."""
        if not self.oracle.is_over:
            return False
        self._over_since = self._over_since or time.monotonic()
        return not self.oracle.tuner_ids or time.monotonic() - self._over_since > _FAREWELL

    def _give_up_lost(self) -> None:
        """Ends trials whose worker, on another host say, is gone for good: the search would wait for them for ever."""
        now = time.monotonic()
        for trial in list(self.oracle.ongoing_trials.values()):
            own = self.folder.trial(trial.trial_id)
            told = read_if_there(own.progress)
            since, before = self._heard.get(trial.trial_id, (now, told))
            since = since if told == before else now
            self._heard[trial.trial_id] = since, told
            if now - since > _LOST_AFTER:
                cause = f"its worker was lost: no word of it for {_LOST_AFTER / 60:.0f} minutes"
                write_whole(own.end, {"state": FAILED, "cause": cause})
                trial.status = "FAILED"
                self.oracle.end_trial(trial)

    def _require_a_score(self) -> None:
        results = self.results()
        if results.leaderboard():
            return
        if not results.trials:
            raise UserError("the search's time was over before its first trial; raise tune.minutes")
        first = results.failures()[0]
        raise UserError(f"every trial of the search failed; the first of them, trial {first.id}: {first.cause}")
