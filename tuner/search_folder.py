"""Where a search keeps what: the one owner of its folders and file names, which all its processes share."""

import csv
import dataclasses
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from shiftvit.config import ExperimentConfig, from_dict, to_dict
from shiftvit.errors import ConfigError
from shiftvit.files import atomic
from shiftvit.training_record import HISTORY_FILE
from tuner.config import TuneConfig


@dataclass(frozen=True)
class Task:
    """What the workers of a search need to know."""

    tune: TuneConfig
    experiment: ExperimentConfig  # of a whole trial, before its hyperparameters
    train_files: Sequence[str]
    eval_files: Sequence[str]


@dataclass(frozen=True)
class TrialFolder:
    """What one trial leaves."""

    path: Path

    @property
    def history(self) -> Path:
        """A row for each finished epoch; written by training."""
        return self.path / HISTORY_FILE

    @property
    def state(self) -> Path:
        """The state after the last finished epoch, from which a killed trial goes on."""
        return self.path / "state"

    @property
    def progress(self) -> Path:
        """How far it is: epochs, of, seconds, worker; written by the trial, about once a second."""
        return self.path / "progress.json"

    @property
    def end(self) -> Path:
        """How it ended: state and cause; written by its worker, before it tells KerasTuner."""
        return self.path / "end.json"

    def curve(self) -> list[dict[str, float]]:
        """Returns the rows of the history."""
        try:
            with self.history.open() as file:
                return [{name: float(value) for name, value in row.items()} for row in csv.DictReader(file)]
        except FileNotFoundError:
            return []


@dataclass(frozen=True)
class SearchFolder:
    """One search; KerasTuner keeps oracle.json here too, and trial.json in the folder of each trial."""

    path: Path

    @property
    def stop(self) -> Path:
        """Is there once the time is over: workers end the trials that run."""
        return self.path / "stop"

    def trial(self, trial_id: str) -> TrialFolder:
        """Returns the folder of that trial, by KerasTuner's name for it."""
        return TrialFolder(self.path / f"trial_{trial_id}")

    def trials(self) -> list[TrialFolder]:
        """Returns those of all trials, in no order."""
        return [TrialFolder(path) for path in self.path.glob("trial_*")]

    def save_task(self, task: Task) -> None:
        """Leaves the workers their task."""
        self.path.mkdir(parents=True, exist_ok=True)
        write_whole(
            self.path / "task.json",
            {
                "tune": to_dict(task.tune),
                "experiment": to_dict(task.experiment),
                "train_files": list(task.train_files),
                "eval_files": list(task.eval_files),
            },
        )

    def load_task(self) -> Task:
        """Returns what `save_task` left.

        Raises:
            ConfigError: when there is no search in the folder.
        """
        try:
            values = json.loads((self.path / "task.json").read_text())
        except OSError as error:
            raise ConfigError(f"{self.path}: no search was started there, or this host does not see it") from error
        return Task(
            from_dict(TuneConfig, values["tune"]),
            from_dict(ExperimentConfig, values["experiment"]),
            values["train_files"],
            values["eval_files"],
        )


def write_whole(path: Path, value: Any) -> None:
    """Writes JSON so that a reader finds the old file or the new one, whenever the writer is killed."""
    atomic.write_file(path, json.dumps(dataclasses.asdict(value) if dataclasses.is_dataclass(value) else value))


def read_if_there(path: Path) -> Mapping[str, Any]:
    """Returns what `write_whole` wrote; nothing where it has not yet."""
    try:
        return json.loads(path.read_text())
    except FileNotFoundError:
        return {}
