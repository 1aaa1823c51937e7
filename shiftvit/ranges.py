"""The range of a number in the settings, declared beside its default. Imports nothing heavy."""

import dataclasses
import numbers
from dataclasses import dataclass
from typing import Any, TypeVar

from shiftvit.errors import ConfigError

Number = TypeVar("Number")

MAX_SEED = 2**32 - 1  # NumPy's
_RANGE = "range"  # key in the metadata of a field


@dataclass(frozen=True)
class Range:
    """The numbers that a setting can be, both ends included; whole numbers only if `least` is one.

    >>> print(Range(8, 1024, zero=True))
    0, or from 8 to 1,024
    """

    least: float
    most: float
    zero: bool = False  # whether 0 is valid too

    def __str__(self) -> str:
        ends = (f"{end:,}" if isinstance(end, int) else f"{end:g}" for end in (self.least, self.most))
        return f"{'0, or ' * self.zero}from {' to '.join(ends)}"

    def check(self, value: Any, key: str) -> None:
        """Raises ConfigError, naming `key`, unless the value is in the range."""
        kind = numbers.Integral if isinstance(self.least, int) else numbers.Real
        is_number = isinstance(value, kind) and not isinstance(value, bool)
        if not is_number or not (self.least <= value <= self.most or (self.zero and value == 0)):
            raise ConfigError(f"{key}={value} must be {self}")


def number(default: Number, least: float, most: float, zero: bool = False) -> Number:
    """Returns a dataclass field with a default and a range, which holds for each number if the field is a tuple."""
    return dataclasses.field(default=default, metadata={_RANGE: Range(least, most, zero)})


def share(default: float) -> float:
    """Returns a dataclass field from 0 to 1."""
    return number(default, 0.0, 1.0)


def range_of(field: dataclasses.Field) -> Range | None:
    """Returns the range of a field, or None if it has none."""
    return field.metadata.get(_RANGE)


def check_ranges(config: Any, group: str) -> None:
    """Raises ConfigError for a number outside its range; names it `group.field`."""
    for field in dataclasses.fields(config):
        limits, value = range_of(field), getattr(config, field.name)
        for each in value if isinstance(value, (tuple, list)) else (value,):
            if limits is not None:
                limits.check(each, f"{group}.{field.name}")
