"""The folder of a search: its file names and formats, shared by the processes of the search."""

import dataclasses
import json
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from shiftvit.config import ExperimentConfig, from_dict, to_dict
from shiftvit.errors import ConfigError
from shiftvit.files import atomic
from shiftvit.training_record import HISTORY_FILE, read_history
from tuner.config import TuneConfig


@dataclass(frozen=True)
class Task:
    """What the workers of a search have to know."""

    tune: TuneConfig
    experiment: ExperimentConfig  # with the epochs of a full trial, before its hyperparameters are set
    train_files: tuple[str, ...]  # patterns of TFRecord files
    eval_files: tuple[str, ...]


@dataclass(frozen=True)
class TrialProgress:
    """How far a trial is."""

    epochs: float = 0.0  # finished
    total_epochs: int = 0
    seconds: float = 0.0  # of all attempts
    worker: str = ""


@dataclass(frozen=True)
class TrialEnd:
    """How a trial ended."""

    state: str
    cause: str | None = None  # one sentence, if it failed or was stopped


Record = TypeVar("Record", TrialProgress, TrialEnd)


@dataclass(frozen=True)
class TrialFolder:
    """The files of one trial."""

    path: Path

    @property
    def history(self) -> Path:
        """The metrics of each finished epoch; written by training."""
        return self.path / HISTORY_FILE

    @property
    def state(self) -> Path:
        """The checkpoint after the last finished epoch, from which a killed trial resumes; written by training."""
        return self.path / "state"

    def curve(self) -> list[dict[str, float]]:
        """Returns one row per finished epoch; see `shiftvit.training_record.read_history`."""
        return read_history(self.path)

    def write_progress(self, progress: TrialProgress) -> None:
        """Called by the trial, about once a second."""
        _write(self.path / "progress.json", progress)

    def read_progress(self) -> TrialProgress | None:
        """Returns the newest progress, or None before the first."""
        return _read(self.path / "progress.json", TrialProgress)

    def write_end(self, end: TrialEnd) -> None:
        """Called by the trial's worker, before it reports the end to KerasTuner."""
        _write(self.path / "end.json", end)

    def read_end(self) -> TrialEnd | None:
        """Returns how the trial ended, or None if it has not."""
        return _read(self.path / "end.json", TrialEnd)


@dataclass(frozen=True)
class SearchFolder:
    """The files of one search. KerasTuner adds oracle.json, and trial.json in the folder of each trial."""

    path: Path

    @property
    def stop(self) -> Path:
        """Exists once the time is over: workers then end their trials."""
        return self.path / "stop"

    def trial(self, trial_id: str) -> TrialFolder:
        """Returns the folder of a trial; its name is KerasTuner's."""
        return TrialFolder(self.path / f"trial_{trial_id}")

    def trials(self) -> list[TrialFolder]:
        """Returns the folders of all trials, in no particular order."""
        return [TrialFolder(path) for path in self.path.glob("trial_*")]

    def save_task(self, task: Task) -> None:
        """Writes the task for the workers."""
        self.path.mkdir(parents=True, exist_ok=True)
        atomic.write_file(self.path / "task.json", json.dumps(to_dict(task)))

    def remove_task(self) -> None:
        """Removes the task, whose paths may mean nothing once the search is over."""
        (self.path / "task.json").unlink(missing_ok=True)

    def load_task(self) -> Task:
        """Reads the task.

        Raises:
            ConfigError: if there is no search in the folder.
        """
        try:
            return from_dict(Task, json.loads((self.path / "task.json").read_text(encoding="utf-8")))
        except OSError as error:
            raise ConfigError(f"{self.path}: no search was started there, or this host does not see it") from error


def _write(path: Path, record: Record) -> None:
    atomic.write_file(path, json.dumps(dataclasses.asdict(record)))


def _read(path: Path, kind: type[Record]) -> Record | None:
    try:
        return kind(**json.loads(path.read_text(encoding="utf-8")))
    except FileNotFoundError:
        return None
