import pytest
from tfx.types import standard_artifacts

from components.baseline import BlessedBeforeStrategy


def model(number):
    artifact = standard_artifacts.Model()
    artifact.id = number
    return artifact


def blessing(of, blessed=True):
    """The Evaluator's verdict on the model with that id."""
    artifact = standard_artifacts.ModelBlessing()
    artifact.id = 1000 + of
    artifact.set_int_custom_property("current_model_id", of)
    artifact.set_int_custom_property("blessed", int(blessed))
    return artifact


def resolve(candidate, models, blessings):
    """Returns the ids of (models, blessings) that the strategy chose."""
    chosen = BlessedBeforeStrategy().resolve_artifacts(
        None, {"candidate": [model(candidate)], "model": [model(k) for k in models], "model_blessing": blessings}
    )
    assert [artifact.id for artifact in chosen["candidate"]] == [candidate]
    return [artifact.id for artifact in chosen["model"]], [artifact.id for artifact in chosen["model_blessing"]]


@pytest.mark.parametrize("order", [1, -1])
def test_the_latest_blessed_model_before_the_candidate_is_the_baseline(order):
    blessings = [blessing(3), blessing(5), blessing(7, blessed=False)]

    assert resolve(9, [3, 5, 7, 9][::order], blessings[::order]) == ([5], [1005])


def test_the_candidate_is_never_its_own_baseline_nor_is_a_later_model():
    assert resolve(5, [3, 5, 7], [blessing(3), blessing(5), blessing(7)]) == ([3], [1003])


def test_a_first_model_has_no_baseline():
    assert resolve(3, [3], [blessing(3)]) == ([], [])
    assert resolve(3, [], []) == ([], [])


def test_a_model_that_was_refused_or_not_judged_is_no_baseline():
    assert resolve(9, [3, 5, 9], [blessing(3, blessed=False)]) == ([], [])
