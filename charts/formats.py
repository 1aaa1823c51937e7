"""Numbers, percentages and durations, written for people."""

import numbers
from typing import Any


def duration(seconds: float | None) -> str:
    """Formats seconds as a clock does; None as an empty string.

    >>> duration(7), duration(750), duration(3725)
    ('0:07', '12:30', '1:02:05')
    """
    if seconds is None:
        return ""
    minutes, second = divmod(round(seconds), 60)
    hours, minute = divmod(minutes, 60)
    return f"{hours}:{minute:02}:{second:02}" if hours else f"{minute}:{second:02}"


def grouped(value: float) -> str:
    """Formats a number with commas between thousands and at most one decimal.

    >>> grouped(1024), grouped(3.25), grouped(1.04)
    ('1,024', '3.2', '1')
    """
    return f"{value:,.1f}".removesuffix(".0")


def count(value: float, unit: str) -> str:
    """Formats a number of things; the plural of `unit` must end in "s".

    >>> count(1, "epoch"), count(2000, "epoch")
    ('1 epoch', '2,000 epochs')
    """
    return f"{grouped(value)} {unit}{'' if value == 1 else 's'}"


def significant(value: Any, digits: int = 4) -> str:
    """Formats a setting or a metric: fractions with so many significant digits, anything else in full.

    >>> significant(0.00217382), significant(1e-5), significant(0.25, digits=1)
    ('0.002174', '1e-5', '0.2')
    >>> significant(250_000), significant([96, 192]), significant(True), significant(None)
    ('250000', '96, 192', 'true', 'none')
    """
    if isinstance(value, (list, tuple)):
        return ", ".join(significant(entry, digits) for entry in value)
    if isinstance(value, bool) or value is None:
        return str(value).lower()
    if not isinstance(value, numbers.Real) or isinstance(value, numbers.Integral):
        return str(value)
    if 10**digits <= abs(float(value)) < 1e9:
        return f"{value:.0f}"
    return f"{value:.{digits}g}".replace("e-0", "e-").replace("e+0", "e+")


def percent(share: float | None, decimals: int = 1) -> str:
    """Formats a share from 0 to 1; None as an empty string.

    >>> percent(0.7118), percent(0.7118, decimals=0)
    ('71.2%', '71%')
    """
    return "" if share is None else f"{share:.{decimals}%}"
