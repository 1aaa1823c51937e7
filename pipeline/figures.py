"""How times and numbers are written for people."""

from typing import Any


def duration(seconds: float | None) -> str:
    """Returns for example `0:07`, `12:30` or `1:02:05`."""
    minutes, second = divmod(round(seconds or 0), 60)
    hours, minute = divmod(minutes, 60)
    return f"{hours}:{minute:02}:{second:02}" if hours else f"{minute}:{second:02}"


def number(value: float) -> str:
    """Returns for example `1,024` or `3.2`."""
    return f"{value:,.0f}" if value == round(value) else f"{value:,.1f}"


def count(value: float, unit: str) -> str:
    """Returns for example `1 epoch` or `20 epochs`."""
    return f"{number(value)} {unit}{'' if value == 1 else 's'}"


def rounded(value: Any, digits: int = 4) -> str:
    """Returns the value of a setting as `--set` takes it, with `digits` significant ones where it is a fraction."""
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:.{digits}g}" if isinstance(value, float) else str(value)
