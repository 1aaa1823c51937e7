"""Timing in turns, so that whatever else the machine does hurts all that is compared alike."""

import math
import time
from collections.abc import Callable, Mapping
from statistics import median

import tensorflow as tf

from shiftvit import progress

Turn = Callable[[], float]  # runs once and returns the seconds of what it measures

_MIN_ROUNDS = 3
_MIN_TURN = 0.05  # seconds; shorter work is repeated, so that the clock and the caches of the turn before weigh little


def repeated(work: Callable[[], object]) -> Turn:
    """Returns a turn that tells the seconds of one call of `work`, over as many calls as a turn should last."""
    calls = 0

    def turn() -> float:
        nonlocal calls
        calls = calls or _calls_of_a_turn(work)
        started = _now()
        for _ in range(calls):
            work()
        return (_now() - started) / calls

    return turn


def interleave(name: str, turns: Mapping[str, Turn], seconds: float) -> dict[str, list[float]]:
    """Takes the turns round after round, every other round backwards, after one round that is not counted.

    Args:
        name: what progress is reported as.
        turns: what is compared.
        seconds: how long to measure; no less than three rounds, however long they last.

    Returns:
        The figures of each turn, one a round.
    """
    for number, turn in enumerate(turns.values()):
        progress.report(f"{name}, warm-up", number, len(turns), "turn")
        turn()
    progress.report(f"{name}, warm-up", len(turns), len(turns), "turn")
    figures, started, rounds = {key: [] for key in turns}, time.perf_counter(), 0
    while rounds < _MIN_ROUNDS or time.perf_counter() - started < seconds:
        for key in list(turns) if rounds % 2 else reversed(turns):
            figures[key].append(turns[key]())
        rounds += 1
        pace = (time.perf_counter() - started) / rounds
        progress.report(name, rounds, max(_MIN_ROUNDS, rounds, math.ceil(seconds / pace)), "round")
    return figures


def medians(figures: Mapping[str, list[float]]) -> dict[str, float]:
    """Returns the median of each list."""
    return {key: median(values) for key, values in figures.items()}


def ratio(figures: Mapping[str, list[float]], numerator: str, denominator: str) -> float:
    """Returns the median of the ratios within each round: what slows a whole round down does not change it."""
    return median(a / b for a, b in zip(figures[numerator], figures[denominator], strict=True))


def _calls_of_a_turn(work: Callable[[], object]) -> int:
    work()
    return max(1, math.ceil(_MIN_TURN / max(stopwatch(work), 1e-6)))


def stopwatch(work: Callable[[], object]) -> float:
    """Returns the seconds of one call."""
    started = _now()
    work()
    return _now() - started


def _now() -> float:
    """Returns the seconds of the clock, once all that was handed to an accelerator is done."""
    tf.test.experimental.sync_devices()
    return time.perf_counter()
