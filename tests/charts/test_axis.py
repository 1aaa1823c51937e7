import pytest

from charts import axis


@pytest.mark.parametrize(
    "low, high, ticks",
    [
        (0.21, 0.72, [0.3, 0.4, 0.5, 0.6, 0.7]),
        (0, 1000, [0, 200, 400, 600, 800, 1000]),
        (0.6991, 0.7013, [0.6995, 0.7, 0.7005, 0.701]),
        (5, 5, [5]),
    ],
)
def test_ticks_are_round_numbers_within_the_range(low, high, ticks):
    assert axis.ticks(low, high) == ticks


@pytest.mark.parametrize("last, ticks", [(1, [1]), (2, [1, 2]), (10, [2, 4, 6, 8, 10]), (100, [20, 40, 60, 80, 100])])
def test_integer_ticks_are_whole_numbers(last, ticks):
    assert axis.integer_ticks(1, last) == ticks
