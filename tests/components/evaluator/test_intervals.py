import numpy as np
import pytest

from components.evaluator.intervals import paired_change, share_interval, unpaired_change


@pytest.mark.parametrize(
    "images, gained, lost, expected",
    [
        # -10 / 102, more and less 1.959964 x sqrt(5.5 + 15.5 - 100 / 102) / 102
        (100, 5, 15, (-0.1, -0.18401, -0.01206)),
        # 0 / 102, more and less 1.959964 x sqrt(0.5 + 0.5) / 102
        (100, 0, 0, (0.0, -0.01922, 0.01922)),
        (10_000, 300, 200, (0.01, 0.00562, 0.01438)),
    ],
)
def test_the_interval_of_a_change_is_that_of_agresti_and_min(images, gained, lost, expected):
    change = paired_change(images, gained, lost)

    assert (change.estimate, change.low, change.high) == pytest.approx(expected, abs=1e-5)


def test_a_change_is_not_beyond_all_images():
    assert paired_change(10, 0, 10).low == -1 and paired_change(10, 10, 0).high == 1


def test_a_model_that_is_worse_than_the_limit_passes_in_one_of_forty_cases_at_most():
    """Of models that lose 5% and gain 3% of all images there are, by the 1,000 that a test split draws."""
    drawn = np.random.default_rng(0).multinomial(1000, [0.03, 0.05, 0.92], size=20_000)

    passed = np.mean([paired_change(1000, gained, lost).low >= -0.02 for gained, lost, _ in drawn])

    assert 0.02 < passed < 0.028


def test_the_interval_of_a_share_is_wilson_s():
    assert share_interval(0.8, 10) == pytest.approx((0.4902, 0.9433), abs=1e-4)
    assert share_interval(1.0, 10) == pytest.approx((0.7225, 1), abs=1e-4)


def test_the_interval_of_an_unpaired_change_is_newcombe_s():
    """The example of his paper: 48 of 80 and 56 of 70."""
    change = unpaired_change((48 / 80, 80), (56 / 70, 70))

    assert (change.estimate, change.low, change.high) == pytest.approx((0.2, 0.0524, 0.3339), abs=1e-4)
