"""Every number in the settings has a range, and every value outside it is refused with the setting's name."""

import dataclasses
import math
import re
import typing

import pytest

from pipeline.config.overrides import override
from pipeline.config.presets import preset
from pipeline.config.settings import PipelineConfig
from shiftvit.config import from_dict
from shiftvit.errors import ConfigError
from shiftvit.ranges import Range, range_of

EXTREMES = (0, -1, 0.5, 1e-300, 1e300, math.nan, math.inf, -math.inf, True, None, "", " ", "abc", [])
EXTREMES += tuple(sign * (2**bits - less) for sign in (1, -1) for bits in (16, 31, 32, 53, 63, 64) for less in (0, 1))
EXTREMES += (10**400, "1" * 5000, "[" * 5000)


def numbers_of(cls=PipelineConfig, path=()):
    """Yields the path, the kind and the range of every setting that is a number or a list of numbers."""
    hints = typing.get_type_hints(cls)
    for field in dataclasses.fields(cls):
        kind, here = hints[field.name], (*path, field.name)
        if dataclasses.is_dataclass(kind):
            yield from numbers_of(kind, here)
        elif {int, float} & {kind, *typing.get_args(kind)}:
            yield here, kind, range_of(field)


NUMBERS = {".".join(path): (kind, limits) for path, kind, limits in numbers_of()}


def tree(key, value):
    for name in reversed(key.split(".")):
        value = {name: value}
    return value


def read(config, key):
    for name in key.split("."):
        config = getattr(config, name)
    return config


def build(key, value):
    """Builds a configuration from a file's values, from `--set`, and in Python; returns those that are accepted."""
    builders = [
        lambda: from_dict(PipelineConfig, tree(key, value)),
        lambda: override(preset("quickstart"), [f"{key}={value}"]),
    ]
    if isinstance(value, (int, float)):
        builders.append(lambda: _replaced(PipelineConfig(), key.split("."), value))
    for builder in builders:
        try:
            yield read(builder(), key)
        except ConfigError as error:
            group, _, name = key.rpartition(".")
            assert (key in str(error)) or (group in str(error) and name in str(error)), error
            assert "\n" not in str(error)


def _replaced(config, names, value):
    name, *below = names
    return dataclasses.replace(config, **{name: _replaced(getattr(config, name), below, value) if below else value})


def test_every_number_has_a_range_of_its_kind_with_its_default_in_it():
    assert len(NUMBERS) > 50
    for key, (kind, limits) in NUMBERS.items():
        assert isinstance(limits, Range), f"{key} has no range: declare it with `number` or `share`"
        assert isinstance(limits.least, int) == (kind is not float), key
        assert math.isfinite(limits.least) and abs(limits.most) < 2**63, key


@pytest.mark.parametrize("key", NUMBERS)
def test_an_extreme_value_is_refused_by_name_or_in_range(key):
    kind, limits = NUMBERS[key]
    for value in (*EXTREMES, limits.most + 1, limits.most * 1.01, math.nextafter(limits.least, -math.inf)):
        for extreme in [value] if kind in (int, float) else [[value], [value] * 4, [4, 4, 4, value]]:
            for accepted in build(key, extreme):
                for number in accepted if isinstance(accepted, (tuple, list)) else [accepted]:
                    limits.check(number, key)
                    assert type(number) in (int, float)


@pytest.mark.parametrize("key", NUMBERS)
def test_a_value_out_of_range_is_refused_with_the_range(key):
    kind, limits = NUMBERS[key]
    value = limits.most + 1
    given = value if kind in (int, float) else [value] * 4

    with pytest.raises(ConfigError, match=re.escape(f"{key}={value} must be {limits}")):
        from_dict(PipelineConfig, tree(key, given))
