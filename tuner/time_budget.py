"""The time budget of a search: whether another trial fits into it, and the end of running trials when it is used up."""

import statistics
import subprocess

from shiftvit.errors import ConfigError, UserError
from shiftvit.processes import python
from tuner.config import TuneConfig
from tuner.oracles import RecoverableOracle
from tuner.results import FAILED
from tuner.search_folder import SearchFolder


class TimeBudget:
    """Enforces `tune.minutes`.

    Estimates the time of a trial from those that ended or, before the first one ends, from a few steps of training.
    """

    def __init__(self, tune: TuneConfig, folder: SearchFolder, oracle: RecoverableOracle) -> None:
        self.tune, self.folder, self.oracle = tune, folder, oracle
        self.seconds = tune.minutes * 60
        self.estimate = 0.0  # seconds of a trial, from `tuner.measure_trial`

    def require_time_for_one(self) -> None:
        """Checks that one trial fits into the budget, unless the search has begun already.

        Raises:
            ConfigError: if it does not; names the time that a trial takes.
        """
        if not self.seconds or self.oracle.trials:
            return
        self.estimate = _measure_trial(self.folder)
        if self.estimate > self.seconds:
            raise ConfigError(
                f"tune.minutes={self.tune.minutes:g} is too short for one trial, which takes about "
                f"{self.estimate / 60:.2g} minutes on this machine: raise it, or lower tune.epochs or "
                "tune.steps_per_epoch"
            )

    def allows_another(self) -> bool:
        """Returns True if another trial can end in time."""
        return not self.seconds or self.oracle.seconds + self._estimate_next() <= self.seconds

    def stop_when_over(self) -> None:
        """Tells the workers to end their trials once the budget is used up."""
        if self.seconds and self.oracle.seconds > self.seconds:
            self.folder.stop.touch()

    def _estimate_next(self) -> float:
        """Returns the seconds of a trial; with Hyperband, which alone decides on its length, those of one epoch."""
        epochs = 1 if self.tune.algorithm == "hyperband" else self.tune.epochs
        records = [(trial.read_progress(), trial.read_end()) for trial in self.folder.trials()]
        seconds_per_epoch = [
            progress.seconds / progress.epochs for progress, end in records if progress and end and end.state != FAILED
        ]
        return epochs * statistics.median(seconds_per_epoch or [self.estimate / self.tune.epochs])


def _measure_trial(folder: SearchFolder) -> float:
    """Runs `tuner.measure_trial` in its own process, because it occupies the devices of the trials."""
    ended = subprocess.run(
        [*python("tuner.measure_trial"), str(folder.path)],
        stdout=subprocess.PIPE,
        encoding="utf-8",
        check=False,
    )
    if ended.returncode:
        raise UserError(
            "training with the unchanged configuration failed, so there is nothing to tune; the log has the error"
        )
    return float(ended.stdout.split()[-1])
