"""Positions and ticks on the axes of charts."""

import math

_MAX_TICKS = 8


def position(low: float, value: float, high: float, log: bool = False) -> float:
    """Returns where the value lies between `low` (0) and `high` (1), or 0.5 for an empty range.

    Args:
        low: start of the axis.
        value: may lie outside the axis; its position then is below 0 or above 1.
        high: end of the axis.
        log: whether the axis is logarithmic, for positive numbers only.

    >>> position(0, 2, 8)
    0.25
    >>> position(1, 10, 100, log=True)
    0.5
    """
    if not high > low:
        return 0.5
    if log:
        low, value, high = math.log(low), math.log(value), math.log(high)
    return (value - low) / (high - low)


def ticks(low: float, high: float) -> list[float]:
    """Returns evenly spaced round numbers from `low` to `high`: two or more, or one for an empty range.

    >>> ticks(0.21, 0.72)
    [0.3, 0.4, 0.5, 0.6, 0.7]
    """
    if not high > low:
        return [low]
    min_step = (high - low) / (_MAX_TICKS - 1)
    power = 10.0 ** math.floor(math.log10(min_step))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= min_step * (1 - 1e-9))
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [float(f"{count * step:.12g}") for count in range(first, last + 1)]


def integer_ticks(low: float, high: float) -> list[int]:
    """Returns the ticks that are whole numbers.

    >>> integer_ticks(1, 2)
    [1, 2]
    """
    return [round(tick) for tick in ticks(low, high) if tick == int(tick)]
