"""The minutes of a search: whether another trial fits into them, and the end of those that run when they are over."""

import statistics
import subprocess
import sys

from shiftvit.errors import ConfigError, UserError
from tuner.config import TuneConfig
from tuner.oracles import Recoverable
from tuner.results import FAILED
from tuner.search_folder import SearchFolder, read_if_there


class Clock:
    """Knows how long a trial takes: from those that ended, or, before the first, from a few steps of one."""

    def __init__(self, tune: TuneConfig, folder: SearchFolder, oracle: Recoverable):
        self.tune, self.folder, self.oracle = tune, folder, oracle
        self.budget = tune.minutes * 60
        self.measured = 0.0  # seconds of a trial

    def require_time_for_one(self) -> None:
        """Refuses minutes that do not do for one trial, unless the search is under way.

        Raises:
            ConfigError: says how many would do.
        """
        if not self.budget or self.oracle.trials:
            return
        self.measured = _measure(self.folder)
        if self.measured > self.budget:
            raise ConfigError(
                f"tune.minutes={self.tune.minutes:g} is too short for one trial, which takes about "
                f"{self.measured / 60:.2g} minutes on this machine: give more, or set tune.epochs or "
                "tune.steps_per_epoch lower"
            )

    def allows_another(self) -> bool:
        """Says whether another trial can end in time."""
        return not self.budget or self.oracle.seconds + self._needed() <= self.budget

    def stop_when_over(self) -> None:
        """Has the workers end what runs once the time is over."""
        if self.budget and self.oracle.seconds > self.budget:
            self.folder.stop.touch()

    def _needed(self) -> float:
        """Returns the seconds of a trial; of Hyperband's, of whose length only it decides, those of an epoch."""
        epochs = 1 if self.tune.algorithm == "hyperband" else self.tune.epochs
        paces = [
            told["seconds"] / told["epochs"]
            for told, end in ((read_if_there(t.progress), read_if_there(t.end)) for t in self.folder.trials())
            if end and end["state"] != FAILED
        ]
        return epochs * (statistics.median(paces) if paces else self.measured / self.tune.epochs)


def _measure(folder: SearchFolder) -> float:
    """Returns the estimate of `tuner.measure_trial`, a process of its own: it uses the trials' devices."""
    probe = subprocess.run(
        [sys.executable, "-m", "tuner.measure_trial", str(folder.path)], stdout=subprocess.PIPE, text=True, check=False
    )
    if probe.returncode:
        raise UserError("the configuration as it stands cannot be trained, so it cannot be tuned; the log says why")
    return float(probe.stdout.split()[-1])
