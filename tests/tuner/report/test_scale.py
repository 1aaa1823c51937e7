import pytest
from made_results import NORM, RATE, make_results, make_trial

from tuner.report import scale
from tuner.results import Dimension

WIDTH = Dimension("width", 4, low=2, high=10, whole=True)


@pytest.mark.parametrize(
    "dimension, value, place",
    [
        (RATE, 0.0005, 0),
        (RATE, 0.002, 0.5),  # evenly in the logarithm
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
def test_a_value_has_its_place_between_0_and_1(dimension, value, place):
    assert scale.position(dimension, value) == pytest.approx(place)


def widened(dimension, *tried):
    trials = [make_trial(f"{number}", values={dimension.name: value}) for number, value in enumerate(tried)]
    return scale.space(make_results(*trials, space=(dimension,)))[0]


def test_the_space_holds_what_was_tried_and_the_defaults():
    rate, norm = widened(RATE, 0.0001, 0.02), widened(NORM, "none", "batch", "none")

    assert (rate.low, rate.high, rate.log) == (0.0001, 0.02, True)
    assert norm.choices == ("batch", "group1", "layer", "none")
    assert widened(Dimension("drop", 0.7, low=0.0, high=0.5)).high == 0.7
    assert widened(Dimension("norm", "group1", ("batch",))).choices == ("batch", "group1")
    assert widened(Dimension("drop", None, low=0.0, high=0.5), 0.2).high == 0.5


def test_a_range_that_was_left_for_0_is_even_in_the_value():
    rate = widened(RATE, 0.0)

    assert (rate.log, scale.position(rate, 0.004)) == (False, 0.5)


def test_an_axis_is_marked_at_its_ends_and_its_middle_or_at_each_choice():
    assert [text for _, text in scale.ticks(RATE)] == ["0.0005", "0.002", "0.008"]
    assert [place for place, _ in scale.ticks(RATE)] == pytest.approx([0, 0.5, 1])
    assert scale.ticks(NORM) == [(0, "batch"), (0.5, "group1"), (1, "layer")]


def test_a_range_of_whole_numbers_is_marked_at_whole_numbers():
    assert scale.ticks(Dimension("layers", 1, low=1, high=4, whole=True)) == [
        (0, "1"),
        (pytest.approx(1 / 3), "2"),
        (1, "4"),
    ]
    assert scale.ticks(Dimension("layers", 1, low=1, high=2, whole=True)) == [(0, "1"), (1, "2")]
