"""How values, scores and trials are written for people."""

from collections import Counter

from charts.formats import significant
from tuner.results import COMPLETED, FAILED, RUNNING, STOPPED, Results, Trial

STATES = {COMPLETED: "completed", STOPPED: "stopped early", FAILED: "failed", RUNNING: "running"}


def is_accuracy(objective: str) -> bool:
    """Tells whether the objective is a share of images, which is written as a percentage."""
    return objective.endswith(("top1", "top5"))


def score(objective: str, value: float) -> str:
    """Returns for example `71.2%` of an accuracy, `0.8123` of a loss."""
    return f"{value:.1%}" if is_accuracy(objective) else significant(value)


def distance(objective: str, one: float, other: float) -> str:
    """Returns how far apart two scores are, for example `1.3 points` of an accuracy, `0.0412` of a loss."""
    apart = abs(one - other)
    if not is_accuracy(objective):
        return significant(apart)
    return "less than 0.1 points" if apart < 0.0005 else f"{100 * apart:.1f} points"


def duration(seconds: float) -> str:
    """Returns for example `41 s`, `3 min 20 s` or `1 h 5 min`."""
    minutes, second = divmod(round(seconds), 60)
    hours, minute = divmod(minutes, 60)
    return f"{hours} h {minute} min" if hours else f"{minute} min {second} s" if minute else f"{second} s"


def epochs(count: int) -> str:
    """Returns for example `3 epochs`."""
    return f"{count} epoch{'' if count == 1 else 's'}"


def states(results: Results) -> str:
    """Returns for example `17 completed, 2 stopped early, 1 failed`."""
    counts = Counter(trial.state for trial in results.trials)
    return ", ".join(f"{counts[state]} {word}" for state, word in STATES.items() if counts[state]) or "none was started"


def trial(results: Results, one: Trial) -> str:
    """Returns all there is to a trial: its end in a line, and its values in one each."""
    reached = "" if one.score is None else f", {results.objective} {score(results.objective, one.score)}"
    values = "".join(f"\n{name} = {significant(value)}" for name, value in one.values.items())
    return f"trial {one.id}: {STATES[one.state]} after {epochs(one.epochs)}{reached}{values}"
