import dataclasses
from pathlib import Path

import pytest
from executions import artifact, context
from known_data import CIFAR10, describe
from tfx.types import standard_artifacts
from tfx.utils import path_utils

from components.baseline import BlessedBeforeStrategy, PushedBaseline
from shiftvit.dataset import DATASET_FILE, EXTRA_FOLDER

OTHER = dataclasses.replace(CIFAR10, class_names=("cat", "dog"))


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """The working directory, in which a model with the id K is in the folder `model K`."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def describe_model(folder, dataset=CIFAR10):
    """Writes the facts of its data into the folder of an exported model."""
    (folder / EXTRA_FOLDER).mkdir(parents=True, exist_ok=True)
    describe(folder / EXTRA_FOLDER, dataset)


def model(number, dataset=CIFAR10):
    made = artifact(standard_artifacts.Model, Path(f"model {number}"))
    made.id = number
    describe_model(Path(path_utils.serving_model_dir(made.uri)), dataset)
    return made


def blessing(of, blessed=True):
    """Returns the Evaluator's verdict on the model with this id."""
    artifact = standard_artifacts.ModelBlessing()
    artifact.id = 1000 + of
    artifact.set_int_custom_property("current_model_id", of)
    artifact.set_int_custom_property("blessed", int(blessed))
    return artifact


def resolve(candidate, models, blessings, others=()):
    """Returns the ids of the models and the blessings that the strategy resolves to; `others` are of other data."""
    made = [model(k, OTHER if k in others else CIFAR10) for k in models]
    chosen = BlessedBeforeStrategy().resolve_artifacts(
        None, {"candidate": [model(candidate)], "model": made, "model_blessing": blessings}
    )
    assert [artifact.id for artifact in chosen["candidate"]] == [candidate]
    return [artifact.id for artifact in chosen["model"]], [artifact.id for artifact in chosen["model_blessing"]]


@pytest.mark.parametrize("order", [1, -1])
def test_baseline_is_the_latest_blessed_model_before_the_candidate(order):
    blessings = [blessing(3), blessing(5), blessing(7, blessed=False)]

    assert resolve(9, [3, 5, 7, 9][::order], blessings[::order]) == ([5], [1005])


def test_baseline_is_neither_the_candidate_nor_a_later_model():
    assert resolve(5, [3, 5, 7], [blessing(3), blessing(5), blessing(7)]) == ([3], [1003])


def test_first_model_has_no_baseline():
    assert resolve(3, [3], [blessing(3)]) == ([], [])
    assert resolve(3, [], []) == ([], [])


def test_refused_and_unevaluated_models_are_no_baseline():
    assert resolve(9, [3, 5, 9], [blessing(3, blessed=False)]) == ([], [])


def test_models_of_other_classes_are_passed_over():
    assert resolve(9, [3, 5], [blessing(3), blessing(5)], others=[5]) == ([3], [1003])
    assert resolve(9, [3, 5], [blessing(3), blessing(5)], others=[3, 5]) == ([], [])


def test_models_without_facts_of_their_data_are_passed_over(folder):
    models = [model(3), model(5)]
    (Path(path_utils.serving_model_dir(models[1].uri)) / EXTRA_FOLDER / DATASET_FILE).unlink()
    inputs = {"candidate": [model(9)], "model": models, "model_blessing": [blessing(3), blessing(5)]}
    assert BlessedBeforeStrategy().resolve_artifacts(None, inputs)["model"] == [models[0]]


def push(destination, version, *files):
    for file in files:
        (destination / version / file).parent.mkdir(parents=True, exist_ok=True)
        (destination / version / file).write_text(version)


def run_pushed_baseline(folder):
    """Runs PushedBaseline on the models below folder/pushed; returns its output."""
    baseline = artifact(standard_artifacts.Model, folder / "baseline")
    executor = PushedBaseline.EXECUTOR_SPEC.executor_class(context(folder))
    parameters = {"push_destination": str(folder / "pushed")}
    executor.Do({"candidate": [model(1)]}, {"model": [baseline]}, parameters)
    return baseline


def test_baseline_is_the_highest_version_with_a_model(tmp_path):
    for version in ("9", "1000", "200"):
        push(tmp_path / "pushed", version, "saved_model.pb", "variables/variables.index")
        describe_model(tmp_path / "pushed" / version)
    push(tmp_path / "pushed", "2000", "variables/variables.index")
    push(tmp_path / "pushed", "latest", "saved_model.pb")

    baseline = run_pushed_baseline(tmp_path)

    served = Path(path_utils.serving_model_path(baseline.uri))
    files = (served / name for name in ("saved_model.pb", "variables/variables.index"))
    assert {str(file.relative_to(served)): file.read_text() for file in files} == {
        "saved_model.pb": "1000",
        "variables/variables.index": "1000",
    }
    assert baseline.get_string_custom_property("pushed_version") == "1000"


def test_a_pushed_model_of_other_data_is_no_baseline(tmp_path):
    push(tmp_path / "pushed", "9", "saved_model.pb")
    describe_model(tmp_path / "pushed/9", OTHER)

    assert not (Path(run_pushed_baseline(tmp_path).uri) / "Format-Serving").exists()


def test_no_baseline_before_the_first_push(tmp_path):
    run_pushed_baseline(tmp_path)

    assert not (tmp_path / "baseline/Format-Serving").exists()
