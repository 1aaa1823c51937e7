import shutil
from dataclasses import replace

import pytest

from pipeline.runners.local import runner
from pipeline.runners.local.runner import conclude, conclude_search, save_predictions
from pipeline.runs.events import Events
from pipeline.runs.lineage import Artifact, Execution
from pipeline.runs.workspace import RunFolder
from shiftvit.errors import UserError


def test_a_search_from_the_cache_whose_results_are_gone_is_told_with_a_way_out(tmp_path):
    left = {"tuner_results": (Artifact(1, "TunerResults", str(tmp_path / "gone"), {}),)}
    search = Execution(6, "Tuner", "run", "cached", 0.0, 1.0, {}, left)

    with pytest.raises(UserError, match=r"gone: an earlier run left .* another train\.seed"):
        conclude_search({"Tuner": search})


def test_a_run_whose_answers_cannot_be_gathered_does_not_fail_for_it(tmp_path):
    outputs = {
        "Trainer": {"model": (Artifact(1, "Model", str(tmp_path / "gone"), {}),)},
        "Cifar10ExampleGen": {"examples": (Artifact(2, "Examples", str(tmp_path / "gone"), {}),)},
    }
    executions = {node: Execution(3, node, "run", "cached", 0.0, 1.0, {}, made) for node, made in outputs.items()}
    told = []

    assert not save_predictions(executions, RunFolder(tmp_path), Events(told.append), [])

    assert [event["event"] for event in told] == ["note"]
    assert told[0]["message"].startswith("The report will have neither calibration nor mistakes: ")
    assert not RunFolder(tmp_path).predictions.exists()


@pytest.fixture
def executions(tmp_path, monkeypatch):
    """Of a run whose Pusher is from the cache: it pushed version 7, of which the archive has a copy."""
    monkeypatch.setattr(runner, "read_metrics", lambda uri: {"top1": 0.9})
    monkeypatch.setattr(runner.canary, "read_latency", lambda uri: {})
    (tmp_path / "archive").mkdir()
    (tmp_path / "archive" / "saved_model.pb").touch()
    (tmp_path / "serving" / "7").mkdir(parents=True)
    pushed = {"pushed": 1, "pushed_version": "7", "pushed_destination": str(tmp_path / "serving" / "7")}
    outputs = {
        "Evaluator": {"evaluation": (Artifact(1, "ModelEvaluation", "", {}),)},
        "Canary": {"blessing": (Artifact(3, "InfraBlessing", "", {}),)},
        "Pusher": {"pushed_model": (Artifact(2, "PushedModel", str(tmp_path / "archive"), pushed),)},
    }
    return {node: Execution(3, node, "run", "cached", 0.0, 1.0, {}, left) for node, left in outputs.items()}


def test_a_version_is_new_where_the_pusher_ran_and_copied(executions):
    def is_new(state, **properties):
        pushed = executions["Pusher"].outputs["pushed_model"][0]
        artifact = replace(pushed, properties=pushed.properties | properties)
        pusher = replace(executions["Pusher"], state=state, outputs={"pushed_model": (artifact,)})
        return conclude(executions | {"Pusher": pusher}, None)["new"]

    assert is_new("complete") and is_new("complete", already_pushed=0)
    assert not is_new("cached") and not is_new("complete", already_pushed=1)


def test_a_cached_push_whose_version_was_removed_since_is_told_with_a_way_out(executions, tmp_path):
    (tmp_path / "serving" / "7").rmdir()
    with pytest.raises(
        UserError, match=r"serving/7: .* newer ones have taken its place .* `shiftvit rollback 7` brings"
    ):
        conclude(executions, None)
    shutil.rmtree(tmp_path / "archive")
    with pytest.raises(UserError, match=r"and it is gone, as is its copy in .*archive; another --workspace"):
        conclude(executions, None)
