"""Positions of hyperparameter values on an axis from 0 to 1."""

import math
import numbers
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from charts import axis
from charts.formats import significant
from tuner.results import Dimension, Results

Tick = tuple[float, str]  # position and label


def space(results: Results) -> list[Dimension]:
    """Returns the dimensions of the search, widened to include every default and every value that was tried.

    The first trial, the unchanged configuration, may lie outside the declared ranges.
    """
    settings = [trial.values for trial in results.trials]
    return [_widen(d, [values[d.name] for values in settings if d.name in values]) for d in results.space]


def _widen(dimension: Dimension, tried: Sequence[Any]) -> Dimension:
    values = [*tried, dimension.default]
    if dimension.choices:
        new = [value for value in values if value not in dimension.choices]
        return replace(dimension, choices=(*dimension.choices, *dict.fromkeys(new)))
    finite = [value for value in values if _is_finite(value)]
    low, high = min(dimension.low, *finite), max(dimension.high, *finite)
    return replace(dimension, low=low, high=high, log=dimension.log and low > 0)


def position(dimension: Dimension, value: Any) -> float:
    """Returns the position of a value on the axis of its dimension, from 0 to 1.

    Choices are evenly spaced. A single choice, or a value that is not a finite number, is in the middle.
    """
    if dimension.choices:
        return dimension.choices.index(value) / (len(dimension.choices) - 1) if len(dimension.choices) > 1 else 0.5
    if not _is_finite(value):
        return 0.5
    return axis.position(dimension.low, value, dimension.high, dimension.log)


def ticks(dimension: Dimension) -> list[Tick]:
    """Returns a tick for each choice, or for the ends and the middle of a range."""
    if dimension.choices:
        values = list(dimension.choices)
    else:
        low, high = dimension.low, dimension.high
        values = sorted({low, math.sqrt(low * high) if dimension.log else (low + high) / 2, high})
        values = sorted({round(value) for value in values}) if dimension.integer else values
    return [(position(dimension, value), significant(value)) for value in values]


def _is_finite(value: Any) -> bool:
    return isinstance(value, numbers.Real) and math.isfinite(value)
