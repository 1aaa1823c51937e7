import pytest

from tuner.stopping import reason_to_stop


def curve(*scores):
    return [{"val_top1": score} for score in scores]


OTHERS = [curve(0.2, 0.4, 0.6), curve(0.3, 0.5, 0.7), curve(0.1, 0.3, 0.5)]  # means over two epochs: 0.3, 0.4, 0.2


def reason(own, others=OTHERS, greater_is_better=True, epochs=6):
    return reason_to_stop(own, others, "val_top1", greater_is_better, epochs)


def test_a_trial_below_the_median_is_stopped():
    assert reason(curve(0.1, 0.29)) == (
        "stopped after 2 of 6 epochs: its best val_top1, 0.29, is worse than 0.3, the median of the "
        "means of 3 other trials up to that epoch"
    )


@pytest.mark.parametrize("own", [curve(0.1, 0.31), curve(0.1, 0.5), curve(0.35, 0.2)])
def test_a_trial_whose_best_reaches_the_median_continues(own):
    assert reason(own) is None


def test_a_loss_is_compared_the_other_way_round():
    assert reason(curve(0.5, 0.31), greater_is_better=False)
    assert reason(curve(0.5, 0.29), greater_is_better=False) is None


def test_no_trial_is_stopped_in_the_first_third():
    assert reason(curve(0.0), epochs=4) is None and reason(curve(0.0, 0.0), epochs=4)


def test_trials_with_fewer_epochs_are_ignored():
    assert reason(curve(0.0, 0.0), others=[*OTHERS[:2], curve(0.9)]) is None
