"""Scores, states and trials in words."""

from collections import Counter

from charts.formats import count, percent, significant
from shiftvit.metrics import is_share
from tuner.results import COMPLETED, FAILED, RUNNING, STOPPED, Results, Trial

STATES = {COMPLETED: "completed", STOPPED: "stopped early", FAILED: "failed", RUNNING: "running"}


def score(objective: str, value: float | None) -> str:
    """Formats a score.

    >>> score("val_top1", 0.7118), score("val_loss", 0.81234), score("val_loss", None)
    ('71.2%', '0.8123', 'no score')
    """
    if value is None:
        return "no score"
    return percent(value) if is_share(objective) else significant(value)


def difference(objective: str, a: float, b: float) -> str:
    """Formats the absolute difference of two scores.

    >>> difference("val_top1", 0.712, 0.699), difference("val_loss", 0.5, 0.541234)
    ('1.3 points', '0.04123')
    """
    gap = abs(a - b)
    if not is_share(objective):
        return significant(gap)
    return "less than 0.1 points" if gap < 0.0005 else f"{100 * gap:.1f} points"


def states(results: Results) -> str:
    """Returns for example `17 completed, 2 stopped early, 1 failed`."""
    counts = Counter(trial.state for trial in results.trials)
    return ", ".join(f"{counts[state]} {word}" for state, word in STATES.items() if counts[state]) or "none was started"


def trial(results: Results, one: Trial) -> str:
    """Describes a trial: state, epochs and score in the first line, then one line per value."""
    reached = "" if one.score is None else f", {results.objective} {score(results.objective, one.score)}"
    values = "".join(f"\n{name} = {significant(value)}" for name, value in one.values.items())
    return f"trial {one.id}: {STATES[one.state]} after {count(one.epochs, 'epoch')}{reached}{values}"
