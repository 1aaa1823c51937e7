"""Positions and round steps on the axes of charts."""

import math


def between(low: float, value: float, high: float, log: bool = False) -> float:
    """Returns how far the value is from `low` (0) to `high` (1); 0.5 where these are the same."""
    if not high > low:
        return 0.5
    if log:
        low, value, high = math.log(low), math.log(value), math.log(high)
    return (value - low) / (high - low)


def round_steps(low: float, high: float, most: int = 8) -> list[float]:
    """Returns round numbers from `low` to `high`, evenly spaced; at least two of them, unless the two are the same."""
    if not high > low:
        return [low]
    least = (high - low) / (most - 1)
    power = 10.0 ** math.floor(math.log10(least))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= least * (1 - 1e-9))
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [float(f"{count * step:.12g}") for count in range(first, last + 1)]


def whole_steps(low: int, high: int, most: int = 8) -> list[int]:
    """Returns round whole numbers from `low` to `high`."""
    return [round(step) for step in round_steps(low, high, most) if step == int(step)]
