"""The results of a search as dataclasses, and their JSON file. Imports neither TensorFlow nor KerasTuner."""

import dataclasses
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from shiftvit.errors import DataError

RESULTS_FILE = "trials.json"
REPORT_FILE = "report.html"

RUNNING, COMPLETED, STOPPED, FAILED = "running", "completed", "stopped", "failed"


@dataclass(frozen=True)
class Dimension:
    """A hyperparameter of the space: a range of numbers, or a choice."""

    name: str  # the setting it changes, as a dotted name
    default: Any
    choices: tuple[Any, ...] = ()  # empty for a range
    low: float = 0.0
    high: float = 0.0
    log: bool = False  # the range is sampled on a logarithmic scale
    integer: bool = False  # the range has integers only


@dataclass(frozen=True)
class Trial:
    """One setting that was tried.

    Attributes:
        id: numbered in the order of their starts. The first trial has the default of every hyperparameter.
        state: RUNNING, COMPLETED, STOPPED early as hopeless, or FAILED.
        values: by hyperparameter; without those that another hyperparameter switches off.
        score: the objective after the last epoch; None if the trial failed or still runs.
        cause: one sentence on why it failed or was stopped.
        epochs: finished epochs.
        curve: one row per finished epoch: `epoch`, from 1, and the metrics, such as `loss` and `val_top1`.
    """

    id: str
    state: str
    values: Mapping[str, Any]
    score: float | None = None
    cause: str | None = None
    seconds: float = 0.0
    epochs: int = 0
    worker: str = ""
    curve: Sequence[Mapping[str, float]] = ()


@dataclass(frozen=True)
class Budget:
    """The limits of a search; 0 is no limit."""

    trials: int = 0
    minutes: float = 0.0
    workers: int = 0


@dataclass(frozen=True)
class Results:
    """A search, finished or not."""

    algorithm: str  # random, hyperband or bayesian
    objective: str  # a column of the curves
    greater_is_better: bool
    space: Sequence[Dimension]
    trials: Sequence[Trial]  # in the order of their starts
    epochs: int  # of a full trial
    budget: Budget = Budget()
    seconds: float = 0.0  # of the whole search, killed attempts included

    def leaderboard(self) -> list[Trial]:
        """Returns the trials that have a score, best first; equal ones in the order of their starts."""
        sign = -1 if self.greater_is_better else 1
        scored = [(sign * trial.score, trial) for trial in self.trials if trial.score is not None]
        return [trial for _, trial in sorted(scored, key=lambda pair: pair[0])]

    def failures(self) -> list[Trial]:
        """Returns the trials that failed, in the order of their starts."""
        return [trial for trial in self.trials if trial.state == FAILED]


def to_json(results: Results) -> str:
    """Returns the content of RESULTS_FILE."""
    return json.dumps(dataclasses.asdict(results), indent=2) + "\n"


def read(path: Path) -> Results:
    """Reads a file that has the output of `to_json`.

    Raises:
        DataError: if another version of this project wrote it.
    """
    values = json.loads(path.read_text(encoding="utf-8"))
    try:
        space = [Dimension(**{**entry, "choices": tuple(entry["choices"])}) for entry in values.pop("space")]
        trials = [Trial(**entry) for entry in values.pop("trials")]
        return Results(**{**values, "budget": Budget(**values["budget"])}, space=space, trials=trials)
    except (TypeError, KeyError) as error:
        raise DataError(f"{path}: another version of this project wrote it; use another --workspace") from error
