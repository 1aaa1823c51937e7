"""What came of a search, as plain data: the one owner of its form. Imports neither TensorFlow nor KerasTuner."""

import dataclasses
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

RESULTS_FILE = "trials.json"
REPORT_FILE = "report.html"

RUNNING, COMPLETED, STOPPED, FAILED = "running", "completed", "stopped", "failed"


@dataclass(frozen=True)
class Dimension:
    """A hyperparameter of the space: a range of numbers, or a choice."""

    name: str  # the dotted key of the configuration that it sets
    default: Any
    choices: tuple[Any, ...] = ()  # empty for a range
    low: float = 0.0
    high: float = 0.0
    log: bool = False  # the range is sampled evenly in the logarithm
    whole: bool = False  # the range is of whole numbers


@dataclass(frozen=True)
class Trial:
    """One setting that was tried."""

    id: str  # in the order of their starts; the first is the configuration as it stands, where the space has defaults
    state: str  # RUNNING; COMPLETED; STOPPED early, as hopeless; or FAILED
    values: Mapping[str, Any]  # by the names of the space; a hyperparameter that others switch off is not there
    score: float | None = None  # the objective after its last epoch; None where it failed or runs
    cause: str | None = None  # in a sentence, why it failed or was stopped
    seconds: float = 0.0
    epochs: int = 0  # finished
    worker: str = ""
    curve: Sequence[Mapping[str, float]] = ()  # a row for each finished epoch: epoch (from 0), loss, val_top1, ...


@dataclass(frozen=True)
class Results:
    """A search, ended or not."""

    algorithm: str  # random, hyperband, bayesian
    objective: str  # a column of the curves
    greater_is_better: bool
    space: Sequence[Dimension]
    trials: Sequence[Trial]  # in the order of their starts
    epochs: int  # of a whole trial
    budget: Mapping[str, float] = field(default_factory=dict)  # trials, minutes (0: no limit), workers
    seconds: float = 0.0  # of the whole search, attempts that were killed included

    def leaderboard(self) -> list[Trial]:
        """Returns the trials that have a score, best first; of equals, the one that started first."""
        scored = [trial for trial in self.trials if trial.score is not None]
        return sorted(scored, key=lambda trial: -trial.score if self.greater_is_better else trial.score)

    def failures(self) -> list[Trial]:
        """Returns the trials that failed, in the order of their starts."""
        return [trial for trial in self.trials if trial.state == FAILED]


def to_json(results: Results) -> str:
    """Returns the results as JSON."""
    return json.dumps(dataclasses.asdict(results), indent=2) + "\n"


def read(path: Path) -> Results:
    """Reads what `to_json` gave."""
    values = json.loads(path.read_text())
    space = [Dimension(**{**entry, "choices": tuple(entry["choices"])}) for entry in values.pop("space")]
    trials = [Trial(**entry) for entry in values.pop("trials")]
    return Results(**values, space=space, trials=trials)
