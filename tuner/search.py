"""The search: KerasTuner's oracle in this process, the trials in processes of workers, the results in a folder."""

import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import keras_tuner
from keras_tuner.engine.base_tuner import BaseTuner
from keras_tuner.engine.trial import Trial as KerasTrial

from shiftvit import progress
from shiftvit.config import ExperimentConfig, require
from shiftvit.errors import UserError
from shiftvit.files import paths
from shiftvit.metrics import OBJECTIVES
from tuner import chief, devices, space
from tuner.config import TuneConfig
from tuner.oracles import make_oracle
from tuner.results import FAILED, RUNNING, Budget, Results, Trial
from tuner.search_folder import SearchFolder, Task, TrialEnd, TrialProgress
from tuner.time_budget import TimeBudget
from tuner.worker import CHIEF_VARIABLES, ID_VARIABLE

_POLL_SECONDS = 1.0
_DISCONNECT_SECONDS = 10.0
_LOST_SECONDS = 1800.0  # without progress of a trial: a live worker would have ended it long before


def check(tune: TuneConfig, experiment: ExperimentConfig) -> None:
    """Checks that the search can run, before anything is started.

    Args:
        tune: algorithm and budget.
        experiment: to tune; what depends on the data is checked if it is made for the data.

    Raises:
        ConfigError: for an objective that is not measured on the data, a space that is empty or does not fit
            the experiment, more workers than devices, or an environment that makes this process a worker.
    """
    tune.check_classes(experiment.model.num_classes)
    space.make(tune.space, experiment)
    devices.check(tune, experiment)
    if CHIEF_VARIABLES[0] in os.environ:
        require(
            "chief" in os.environ.get(ID_VARIABLE, ""),
            f"{ID_VARIABLE} must be chief for this command, since {CHIEF_VARIABLES[0]} is set; "
            "start a worker with `python -m tuner.worker FOLDER`",
        )


class Search(BaseTuner):
    """A search in `directory`; resumes one that was killed there. TFX's Tuner component accepts it as a KerasTuner.

    Args:
        tune: algorithm and budget.
        experiment: the configuration to tune; a trial has the epochs of `tune` instead of its own.
        train_files: patterns of TFRecord files of the training split.
        eval_files: patterns of TFRecord files of the eval split, on which the objective is measured.
        directory: for trials and results.

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
    ) -> None:
        check(tune, experiment)
        self.folder, self.tune = SearchFolder(directory), tune
        self.folder.save_task(Task(tune, tune.trial_of(experiment), tuple(train_files), tuple(eval_files)))
        self.space = space.make(tune.space, experiment)
        self.greater_is_better = OBJECTIVES[tune.objective]
        oracle = make_oracle(tune, self.space.copy(), experiment.train.seed)
        super().__init__(oracle, directory=paths.plain(directory.parent), project_name=directory.name)
        if oracle.is_started:
            oracle.reload()
        self._last_changes: dict[str, tuple[float, TrialProgress | None]] = {}  # of progress, by trial: when and what
        self._over_since = 0.0

    def search(self, check: Callable[[], None] = lambda: None) -> None:
        """Runs trials until the budget is used up.

        Args:
            check: called about once a second; raises if this search must not go on.

        Raises:
            ConfigError: if the budget is too short for one trial.
            UserError: if a worker keeps dying, or no trial has a score.
        """
        self.folder.stop.unlink(missing_ok=True)
        started = time.monotonic() - self.oracle.seconds
        budget = TimeBudget(self.tune, self.folder, self.oracle)
        budget.require_time_for_one()
        self.oracle.may_start = budget.allows_another
        with (
            chief.serve(self.oracle) as address,
            chief.WorkerPool(self.folder.path, address, devices.divide(self.tune.workers)) as workers,
        ):
            while not (workers.are_done() and self._is_over()):
                time.sleep(_POLL_SECONDS)
                check()
                self.oracle.seconds = time.monotonic() - started
                workers.replace_dead(len(self.oracle.end_order))
                workers.name_silent(self.oracle.tuner_ids)
                budget.stop_when_over()
                self._fail_lost_trials()
                self._report()
        self.oracle.save()
        self._report()
        self._require_a_score()

    def get_best_hyperparameters(self, num_trials: int = 1) -> list[keras_tuner.HyperParameters]:
        """Returns the settings of the best trials, best first, without Hyperband's bookkeeping."""
        best = [hyperparameters.copy() for hyperparameters in super().get_best_hyperparameters(num_trials)]
        for hyperparameters in best:
            hyperparameters.values = space.without_bookkeeping(hyperparameters.values)
        return best

    def results(self) -> Results:
        """Returns the results so far."""
        return Results(
            algorithm=self.tune.algorithm,
            objective=self.tune.objective,
            greater_is_better=self.greater_is_better,
            space=space.describe(self.space),
            trials=[self._read(trial) for trial in list(self.oracle.trials.values())],
            epochs=self.tune.epochs,
            budget=Budget(self.tune.trials, self.tune.minutes, self.tune.workers),
            seconds=round(self.oracle.seconds, 1),
        )

    def _read(self, trial: KerasTrial) -> Trial:
        own = self.folder.trial(trial.trial_id)
        reached = own.read_progress() or TrialProgress()
        end = None if trial.status == "RUNNING" else own.read_end()
        curve = own.curve()
        return Trial(
            id=trial.trial_id,
            state=end.state if end else RUNNING,
            values=space.without_bookkeeping(trial.hyperparameters.values),
            score=None if end is None or end.state == FAILED else trial.score,
            cause=end.cause if end else None,
            seconds=reached.seconds,
            epochs=len(curve),
            worker=reached.worker,
            curve=curve,
        )

    def _report(self) -> None:
        """Reports the progress of the search and of each trial."""
        results = self.results()
        trials = [self._status(trial) for trial in results.trials]
        done = sum(1 if trial.state != RUNNING else trial.epochs / trial.total_epochs for trial in trials)
        scores = [trial.score for trial in results.leaderboard() if trial.score is not None]
        progress.report("tune", done, self.tune.trials, "trial", **({"best": scores[0]} if scores else {}))
        if self.tune.minutes:
            spent = min(results.seconds / 60, self.tune.minutes)
            progress.report("time", spent, self.tune.minutes, "minute")
        progress.report_trials(trials, self.greater_is_better)

    def _status(self, trial: Trial) -> progress.TrialStatus:
        reached = self.folder.trial(trial.id).read_progress() or TrialProgress(total_epochs=self.tune.epochs)
        return progress.TrialStatus(
            id=trial.id,
            state=trial.state,
            score=trial.curve[-1][self.tune.objective] if trial.state == RUNNING and trial.curve else trial.score,
            epochs=reached.epochs,
            total_epochs=reached.total_epochs,
            seconds=trial.seconds,
            cause=trial.cause,
            values=trial.values,
            worker=trial.worker,
        )

    def _is_over(self) -> bool:
        """Returns True once the search is over and workers of other hosts had time for a last request."""
        if not self.oracle.is_over:
            return False
        self._over_since = self._over_since or time.monotonic()
        return not self.oracle.tuner_ids or time.monotonic() - self._over_since > _DISCONNECT_SECONDS

    def _fail_lost_trials(self) -> None:
        """Fails trials whose worker is gone for good, such as one on another host; the search would wait for ever."""
        now = time.monotonic()
        for trial in list(self.oracle.ongoing_trials.values()):
            own = self.folder.trial(trial.trial_id)
            current = own.read_progress()
            since, previous = self._last_changes.get(trial.trial_id, (now, current))
            since = since if current == previous else now
            self._last_changes[trial.trial_id] = since, current
            if now - since > _LOST_SECONDS:
                cause = f"its worker was lost: no progress for {_LOST_SECONDS / 60:.0f} minutes"
                own.write_end(TrialEnd(FAILED, cause))
                trial.status = "FAILED"
                self.oracle.end_trial(trial)

    def _require_a_score(self) -> None:
        results = self.results()
        if results.leaderboard():
            return
        if not results.trials:
            raise UserError("the time of the search was over before its first trial; raise tune.minutes")
        first = results.failures()[0]
        raise UserError(f"every trial of the search failed; the first of them, trial {first.id}: {first.cause}")
