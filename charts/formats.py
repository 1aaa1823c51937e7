"""How times and numbers are written for people."""

import numbers
from typing import Any


def duration(seconds: float | None) -> str:
    """Returns for example `0:07`, `12:30` or `1:02:05`."""
    minutes, second = divmod(round(seconds or 0), 60)
    hours, minute = divmod(minutes, 60)
    return f"{hours}:{minute:02}:{second:02}" if hours else f"{minute}:{second:02}"


def grouped(value: float) -> str:
    """Returns for example `1,024` or `3.2`."""
    return f"{value:,.0f}" if value == round(value) else f"{value:,.1f}"


def count(value: float, unit: str) -> str:
    """Returns for example `1 epoch` or `20 epochs`."""
    return f"{grouped(value)} {unit}{'' if value == 1 else 's'}"


def rounded(value: Any, digits: int = 4) -> str:
    """Returns the value of a setting as `--set` takes it, with `digits` significant ones where it is a fraction."""
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:.{digits}g}" if isinstance(value, float) else str(value)


def significant(value: Any) -> str:
    """Returns the value of a hyperparameter, or any other: numbers with four significant digits."""
    if isinstance(value, (list, tuple)):
        return ", ".join(significant(entry) for entry in value)
    if isinstance(value, bool) or value is None:
        return str(value).lower()
    if not isinstance(value, numbers.Real) or isinstance(value, numbers.Integral):
        return str(value)
    if 1e4 <= abs(value) < 1e9:
        return f"{value:.0f}"
    return f"{value:.4g}".replace("e-0", "e-").replace("e+0", "e+")


def percent(share: float | None) -> str:
    """Returns a share from 0 to 1 as a percentage; nothing for None."""
    return "" if share is None else f"{share:.1%}"
