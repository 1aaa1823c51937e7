import pytest

from tuner.stopping import reason_to_stop


def curve(*scores):
    return [{"val_top1": score} for score in scores]


OTHERS = [curve(0.2, 0.4, 0.6), curve(0.3, 0.5, 0.7), curve(0.1, 0.3, 0.5)]  # means of two epochs: 0.3, 0.4, 0.2


def stopped(own, others=OTHERS, greater=True, epochs=6):
    return reason_to_stop(own, others, "val_top1", greater, epochs)


def test_a_trial_below_the_median_of_the_means_is_stopped():
    assert stopped(curve(0.1, 0.29)) == (
        "stopped after 2 of 6 epochs: its best val_top1, 0.29, is worse than 0.3, the median of what 3 other trials "
        "had in the mean up to there"
    )


@pytest.mark.parametrize("own", [curve(0.1, 0.31), curve(0.1, 0.5), curve(0.35, 0.2)])
def test_a_trial_whose_best_reaches_the_median_goes_on(own):
    assert stopped(own) is None


def test_what_should_be_low_is_compared_the_other_way_round():
    assert stopped(curve(0.5, 0.31), greater=False)
    assert stopped(curve(0.5, 0.29), greater=False) is None


def test_nothing_is_stopped_in_the_first_third():
    assert stopped(curve(0.0), epochs=4) is None and stopped(curve(0.0, 0.0), epochs=4)


def test_others_count_only_if_they_came_as_far():
    assert stopped(curve(0.0, 0.0), others=[*OTHERS[:2], curve(0.9)]) is None
