"""Where values stand on an axis from 0 to 1."""

import math
import numbers
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from charts import axis
from charts.formats import significant
from tuner.results import Dimension, Results

Tick = tuple[float, str]  # position, and what is written there


def space(results: Results) -> list[Dimension]:
    """Returns the dimensions of the search, widened to hold every value that was tried and every default.

    The configuration as it stands, which is the first trial, may lie outside of the ranges.
    """
    tried = [trial.values for trial in results.trials]
    return [_widened(d, [values[d.name] for values in tried if d.name in values]) for d in results.space]


def _widened(dimension: Dimension, tried: Sequence[Any]) -> Dimension:
    values = [*tried, dimension.default]
    if dimension.choices:
        others = [value for position, value in enumerate(values) if value not in values[:position]]
        return replace(dimension, choices=(*dimension.choices, *(v for v in others if v not in dimension.choices)))
    finite = [value for value in values if _is_finite(value)]
    low, high = min(dimension.low, *finite), max(dimension.high, *finite)
    return replace(dimension, low=low, high=high, log=dimension.log and low > 0)


def position(dimension: Dimension, value: Any) -> float:
    """Returns where the value stands on the axis of its dimension, from 0 to 1.

    A range is even in the value, or in its logarithm; the choices stand evenly in their order. What has no place, as
    the only choice or a value that is no number, stands in the middle.
    """
    if dimension.choices:
        return dimension.choices.index(value) / (len(dimension.choices) - 1) if len(dimension.choices) > 1 else 0.5
    if not _is_finite(value):
        return 0.5
    return axis.position(dimension.low, value, dimension.high, dimension.log)


def ticks(dimension: Dimension) -> list[Tick]:
    """Returns position and text of the marks on the axis: each choice; or the ends of the range and its middle."""
    if dimension.choices:
        values = list(dimension.choices)
    else:
        low, high = dimension.low, dimension.high
        values = sorted({low, math.sqrt(low * high) if dimension.log else (low + high) / 2, high})
        values = sorted({round(value) for value in values}) if dimension.whole else values
    return [(position(dimension, value), significant(value)) for value in values]


def _is_finite(value: Any) -> bool:
    return isinstance(value, numbers.Real) and math.isfinite(value)
