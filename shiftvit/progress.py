"""Progress of long work, reported through one logger.

The local runner attaches a handler that turns the records into events; without one they are ordinary log lines.
"""

import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

LOGGER = logging.getLogger("shiftvit.progress")
LOGGER.setLevel(logging.INFO)
EVENT = "event"  # attribute of the log records: the event as plain data


@dataclass(frozen=True)
class TrialStatus:
    """The state of one trial of a search, as an event shows it."""

    id: str
    state: str  # running, completed, stopped or failed
    score: float | None  # of a running trial: the objective after its last finished epoch
    epochs: float  # finished
    total_epochs: int
    seconds: float
    cause: str | None  # one sentence: why it failed or was stopped
    values: Mapping[str, Any]  # by hyperparameter
    worker: str


def report(stage: str, done: float, total: float, unit: str, **metrics: float) -> None:
    """Reports that `done` of `total` units of a stage are finished, with the latest metrics."""
    shown = " ".join(f"{name} {value:.4g}" for name, value in metrics.items())
    event = {"event": "progress", "stage": stage, "done": done, "total": total, "unit": unit, "metrics": metrics}
    LOGGER.info("%s: %g of %g %s %s", stage, done, total, unit, shown, extra={EVENT: event})


def note(message: str) -> None:
    """Reports a sentence for the user that is no error."""
    LOGGER.info("%s", message, extra={EVENT: {"event": "note", "message": message}})


def report_trials(trials: Sequence[TrialStatus], greater_is_better: bool) -> None:
    """Reports all trials of a search, in the order of their starts."""
    states = Counter(trial.state for trial in trials)
    summary = ", ".join(f"{count} {state}" for state, count in states.items()) or "none yet"
    event = {"event": "trials", "trials": [asdict(trial) for trial in trials], "greater_is_better": greater_is_better}
    LOGGER.info("trials: %s", summary, extra={EVENT: event})
