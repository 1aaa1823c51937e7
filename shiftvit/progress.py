"""How far long work has come, told through one logger, so that whoever runs it decides how to show it.

The runner of the command line attaches a handler; elsewhere the lines are ordinary log lines.
"""

import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

LOGGER = logging.getLogger("shiftvit.progress")
LOGGER.setLevel(logging.INFO)
FACTS = "facts"  # attribute of the log record: an event, as plain data


def report(stage: str, done: float, total: float, unit: str, **metrics: float) -> None:
    """Says that `done` of `total` units of `stage` are finished, with the newest metrics, if any."""
    shown = " ".join(f"{name} {value:.4g}" for name, value in metrics.items())
    facts = {"event": "progress", "stage": stage, "done": done, "total": total, "unit": unit, "metrics": metrics}
    LOGGER.info("%s: %g of %g %s %s", stage, done, total, unit, shown, extra={FACTS: facts})


def report_trials(trials: Sequence[Mapping[str, Any]], greater_is_better: bool) -> None:
    """Says how all trials of a search stand.

    Args:
        trials: in the order of their starts, each as plain data: id, state (running, completed, stopped or failed),
            score (None where there is none yet), epochs (done so far) of the `of` that it is to have, seconds, cause
            (why it failed or was stopped, else None), values (by hyperparameter) and worker.
        greater_is_better: which of two scores is the better one.
    """
    states = Counter(trial["state"] for trial in trials)
    told = ", ".join(f"{count} {state}" for state, count in states.items())
    facts = {"event": "trials", "trials": [dict(trial) for trial in trials], "greater_is_better": greater_is_better}
    LOGGER.info("trials: %s", told or "none yet", extra={FACTS: facts})
