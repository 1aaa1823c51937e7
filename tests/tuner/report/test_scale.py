import pytest
from made_results import NORM, RATE, make_results, make_trial

from tuner.report import scale
from tuner.results import Dimension

WIDTH = Dimension("width", 4, low=2, high=10, integer=True)


@pytest.mark.parametrize(
    "dimension, value, expected",
    [
        (RATE, 0.0005, 0),
        (RATE, 0.002, 0.5),  # logarithmic
        (RATE, 0.008, 1),
        (WIDTH, 4, 0.25),
        (NORM, "batch", 0),
        (NORM, "group1", 0.5),
        (NORM, "layer", 1),
        (Dimension("only", 3, (3,)), 3, 0.5),
        (Dimension("fixed", 3.0, low=3.0, high=3.0), 3.0, 0.5),
        (WIDTH, None, 0.5),
        (WIDTH, float("nan"), 0.5),
    ],
)
def test_positions_are_between_0_and_1(dimension, value, expected):
    assert scale.position(dimension, value) == pytest.approx(expected)


def widen(dimension, *tried):
    trials = [make_trial(f"{number}", values={dimension.name: value}) for number, value in enumerate(tried)]
    return scale.space(make_results(*trials, space=(dimension,)))[0]


def test_the_space_includes_tried_values_and_defaults():
    rate, norm = widen(RATE, 0.0001, 0.02), widen(NORM, "none", "batch", "none")

    assert (rate.low, rate.high, rate.log) == (0.0001, 0.02, True)
    assert norm.choices == ("batch", "group1", "layer", "none")
    assert widen(Dimension("drop", 0.7, low=0.0, high=0.5)).high == 0.7
    assert widen(Dimension("norm", "group1", ("batch",))).choices == ("batch", "group1")
    assert widen(Dimension("drop", None, low=0.0, high=0.5), 0.2).high == 0.5


def test_a_range_that_includes_0_is_linear():
    rate = widen(RATE, 0.0)

    assert (rate.log, scale.position(rate, 0.004)) == (False, 0.5)


def test_ticks_are_at_ends_and_middle_or_at_each_choice():
    assert [text for _, text in scale.ticks(RATE)] == ["0.0005", "0.002", "0.008"]
    assert [place for place, _ in scale.ticks(RATE)] == pytest.approx([0, 0.5, 1])
    assert scale.ticks(NORM) == [(0, "batch"), (0.5, "group1"), (1, "layer")]


def test_ticks_of_an_integer_range_are_integers():
    assert scale.ticks(Dimension("layers", 1, low=1, high=4, integer=True)) == [
        (0, "1"),
        (pytest.approx(1 / 3), "2"),
        (1, "4"),
    ]
    assert scale.ticks(Dimension("layers", 1, low=1, high=2, integer=True)) == [(0, "1"), (1, "2")]
