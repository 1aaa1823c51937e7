import numpy as np
import pytest

from components.evaluator.intervals import paired_change, share_interval, unpaired_change


@pytest.mark.parametrize(
    "images, gained, lost, expected",
    [
        # -10 / 102 plus and minus 1.959964 x sqrt(5.5 + 15.5 - 100 / 102) / 102
        (100, 5, 15, (-0.1, -0.18401, -0.01206)),
        # 0 / 102 plus and minus 1.959964 x sqrt(0.5 + 0.5) / 102
        (100, 0, 0, (0.0, -0.01922, 0.01922)),
        (10_000, 300, 200, (0.01, 0.00562, 0.01438)),
    ],
)
def test_paired_change_has_the_interval_of_agresti_and_min(images, gained, lost, expected):
    change = paired_change(images, gained, lost)

    assert (change.estimate, change.low, change.high) == pytest.approx(expected, abs=1e-5)


def test_interval_of_a_change_stays_within_1():
    assert paired_change(10, 0, 10).low == -1 and paired_change(10, 10, 0).high == 1


def test_model_at_the_limit_passes_in_about_one_of_forty_cases():
    """Of a model that is 2% worse on the population, on random test splits of 1,000 images."""
    samples = np.random.default_rng(0).multinomial(1000, [0.03, 0.05, 0.92], size=20_000)

    passed = np.mean([paired_change(1000, gained, lost).low >= -0.02 for gained, lost, _ in samples])

    assert 0.02 < passed < 0.028


def test_share_has_the_interval_of_wilson():
    assert share_interval(0.8, 10) == pytest.approx((0.4902, 0.9433), abs=1e-4)
    assert share_interval(1.0, 10) == pytest.approx((0.7225, 1), abs=1e-4)


def test_unpaired_change_has_the_interval_of_newcombe():
    """On the example of the paper."""
    change = unpaired_change((48 / 80, 80), (56 / 70, 70))

    assert (change.estimate, change.low, change.high) == pytest.approx((0.2, 0.0524, 0.3339), abs=1e-4)
