import numpy as np
import pytest

from charts import formats


@pytest.mark.parametrize(
    "value, text",
    [
        (0.00217382, "0.002174"),
        (0.1, "0.1"),
        (1e-5, "1e-5"),
        (123456.7, "123457"),
        (2.5e12, "2.5e+12"),
        (np.float32(0.25), "0.25"),
        (np.int64(12), "12"),
        (250_000, "250000"),
        (True, "true"),
        (None, "none"),
        ("group1", "group1"),
        ([96, 192], "96, 192"),
        ((0.123456, False), "0.1235, false"),
    ],
)
def test_numbers_have_four_significant_digits(value, text):
    assert formats.significant(value) == text


@pytest.mark.parametrize("seconds, text", [(0, "0:00"), (59.6, "1:00"), (3599.6, "1:00:00"), (90061, "25:01:01")])
def test_durations_are_rounded_to_seconds(seconds, text):
    assert formats.duration(seconds) == text


def test_an_unknown_duration_or_share_is_empty():
    assert formats.duration(None) == formats.percent(None) == ""
