import pytest
from made_results import failed_trial, make_results, make_trial

from tuner.report import wording


@pytest.mark.parametrize(
    "objective, value, text",
    [
        ("val_top1", 0.7118, "71.2%"),
        ("val_top5", 1.0, "100.0%"),
        ("val_loss", 0.812349, "0.8123"),
        ("val_top1", None, "no score"),
    ],
)
def test_an_accuracy_is_a_percentage(objective, value, text):
    assert wording.score(objective, value) == text


@pytest.mark.parametrize(
    "objective, a, b, text",
    [
        ("val_top1", 0.712, 0.699, "1.3 points"),
        ("val_top1", 0.699, 0.712, "1.3 points"),
        ("val_top1", 0.7, 0.70049, "less than 0.1 points"),
        ("val_loss", 0.5, 0.541234, "0.04123"),
    ],
)
def test_a_difference_of_accuracies_is_in_points(objective, a, b, text):
    assert wording.difference(objective, a, b) == text


def test_a_trial_is_described_with_all_its_values():
    completed, failed = make_trial("07", 0.5, values={"a.b": 0.1}), failed_trial("08", epochs=1, values={})
    results = make_results(completed, failed)

    assert wording.trial(results, completed) == "trial 07: completed after 3 epochs, val_top1 50.0%\na.b = 0.1"
    assert wording.trial(results, failed) == "trial 08: failed after 1 epoch"
