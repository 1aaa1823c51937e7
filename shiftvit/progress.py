"""How far long work has come, told through one logger, so that whoever runs it decides how to show it.

The runner of the command line attaches a handler; elsewhere the lines are ordinary log lines.
"""

import logging

LOGGER = logging.getLogger("shiftvit.progress")
LOGGER.setLevel(logging.INFO)
FACTS = "facts"  # attribute of the log record


def report(stage: str, done: float, total: float, unit: str, **metrics: float) -> None:
    """Says that `done` of `total` units of `stage` are finished, with the newest metrics, if any."""
    shown = " ".join(f"{name} {value:.4g}" for name, value in metrics.items())
    facts = {"stage": stage, "done": done, "total": total, "unit": unit, "metrics": metrics}
    LOGGER.info("%s: %g of %g %s %s", stage, done, total, unit, shown, extra={FACTS: facts})
