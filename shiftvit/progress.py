"""Progress of long work, reported through one logger.

The local runner attaches a handler that turns the records into events; without one they are ordinary log lines.
"""

import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

LOGGER = logging.getLogger("shiftvit.progress")
LOGGER.setLevel(logging.INFO)
EVENT = "event"  # attribute of the log records: the event as plain data


def report(stage: str, done: float, total: float, unit: str, **metrics: float) -> None:
    """Reports that `done` of `total` units of a stage are finished, with the latest metrics."""
    shown = " ".join(f"{name} {value:.4g}" for name, value in metrics.items())
    event = {"event": "progress", "stage": stage, "done": done, "total": total, "unit": unit, "metrics": metrics}
    LOGGER.info("%s: %g of %g %s %s", stage, done, total, unit, shown, extra={EVENT: event})


def report_trials(trials: Sequence[Mapping[str, Any]], greater_is_better: bool) -> None:
    """Reports the state of all trials of a search.

    Args:
        trials: plain data, in the order of their starts. `id`; `state`: running, completed, stopped or failed;
            `score` or None; `epochs` finished and `of` how many; `seconds`; `cause`: why it failed or was stopped, or
            None; `values`: by hyperparameter; `worker`.
        greater_is_better: whether a higher score is the better one.
    """
    states = Counter(trial["state"] for trial in trials)
    summary = ", ".join(f"{count} {state}" for state, count in states.items()) or "none yet"
    event = {"event": "trials", "trials": [dict(trial) for trial in trials], "greater_is_better": greater_is_better}
    LOGGER.info("trials: %s", summary, extra={EVENT: event})
