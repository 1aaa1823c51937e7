"""Times alternatives in alternating turns, so that other load on the machine slows all of them alike."""

import math
import time
from collections.abc import Callable, Mapping
from statistics import median

import tensorflow as tf

from shiftvit import progress

Turn = Callable[[], float]  # does the work once or more; returns the seconds per unit of work

_MIN_ROUNDS = 3
_MIN_TURN = 0.05  # seconds; shorter work is repeated, so that clock resolution and cold caches matter little


def repeated(work: Callable[[], object]) -> Turn:
    """Returns a turn that measures the mean seconds of a call of `work`, over enough calls for a turn."""
    calls = 0

    def turn() -> float:
        nonlocal calls
        calls = calls or _calls_per_turn(work)
        started = _now()
        for _ in range(calls):
            work()
        return (_now() - started) / calls

    return turn


def interleave(name: str, turns: Mapping[str, Turn], seconds: float) -> dict[str, list[float]]:
    """Runs the turns round after round, every other round in reverse order, after a warm-up round.

    Args:
        name: for the progress.
        turns: to compare, by name.
        seconds: how long to measure, but at least three rounds.

    Returns:
        For each turn, the seconds it returned in each round.
    """
    for number, turn in enumerate(turns.values()):
        progress.report(f"{name}, warm-up", number, len(turns), "turn")
        turn()
    progress.report(f"{name}, warm-up", len(turns), len(turns), "turn")
    figures: dict[str, list[float]] = {key: [] for key in turns}
    started, rounds = time.perf_counter(), 0
    while rounds < _MIN_ROUNDS or time.perf_counter() - started < seconds:
        for key in list(turns) if rounds % 2 else reversed(list(turns)):
            figures[key].append(turns[key]())
        rounds += 1
        pace = (time.perf_counter() - started) / rounds
        progress.report(name, rounds, max(_MIN_ROUNDS, rounds, math.ceil(seconds / pace)), "round")
    return figures


def medians(figures: Mapping[str, list[float]]) -> dict[str, float]:
    """Returns the median of each list."""
    return {key: median(values) for key, values in figures.items()}


def ratio(figures: Mapping[str, list[float]], numerator: str, denominator: str) -> float:
    """Returns the median of the ratios within each round, which load that slows a whole round does not change."""
    return median(a / b for a, b in zip(figures[numerator], figures[denominator], strict=True))


def _calls_per_turn(work: Callable[[], object]) -> int:
    work()
    return max(1, math.ceil(_MIN_TURN / max(stopwatch(work), 1e-6)))


def stopwatch(work: Callable[[], object]) -> float:
    """Returns the seconds of a call of `work`."""
    started = _now()
    work()
    return _now() - started


def _now() -> float:
    """Returns the clock's seconds after waiting for pending work of accelerators."""
    tf.test.experimental.sync_devices()
    return time.perf_counter()
