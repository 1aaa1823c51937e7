import shutil
from dataclasses import replace

import pytest

from components.canary.report import CanaryReport
from pipeline.runners.local import result
from pipeline.runners.local.result import build_run_result, build_search_result
from pipeline.runs.lineage import Artifact, Execution
from shiftvit.errors import UserError


@pytest.fixture
def executions(tmp_path, monkeypatch):
    """The executions of a run whose Pusher is cached: it pushed version 7, and the archive has a copy."""
    monkeypatch.setattr(result, "read_metrics", lambda uri, num_classes: {"top1": 0.9})
    monkeypatch.setattr(result.canary, "read_report", lambda uri: CanaryReport(True, ""))
    (tmp_path / "archive").mkdir()
    (tmp_path / "archive" / "saved_model.pb").touch()
    (tmp_path / "serving" / "7").mkdir(parents=True)
    pushed = {"pushed": 1, "pushed_version": "7", "pushed_destination": str(tmp_path / "serving" / "7")}
    outputs = {
        "Evaluator": {"evaluation": (Artifact(1, "ModelEvaluation", "", {}),)},
        "Canary": {"blessing": (Artifact(3, "InfraBlessing", "", {}),)},
        "Pusher": {"pushed_model": (Artifact(2, "PushedModel", str(tmp_path / "archive"), pushed),)},
    }
    return {node: Execution(3, node, "run", "cached", 0.0, 1.0, {}, artifacts) for node, artifacts in outputs.items()}


def test_version_is_new_if_the_pusher_ran_and_copied(executions):
    def is_new(state, **properties):
        pushed = executions["Pusher"].outputs["pushed_model"][0]
        artifact = replace(pushed, properties=pushed.properties | properties)
        pusher = replace(executions["Pusher"], state=state, outputs={"pushed_model": (artifact,)})
        return build_run_result(executions | {"Pusher": pusher}, ()).new

    assert is_new("complete") and is_new("complete", already_pushed=0)
    assert not is_new("cached") and not is_new("complete", already_pushed=1)


def test_cached_push_of_a_removed_version_raises_with_a_way_out(executions, tmp_path):
    (tmp_path / "serving" / "7").rmdir()
    with pytest.raises(UserError, match=r"serving/7: .* newer versions have replaced it .* `shiftvit rollback 7` brin"):
        build_run_result(executions, ())
    shutil.rmtree(tmp_path / "archive")
    with pytest.raises(UserError, match=r"its copy in .*archive were deleted; train again with another --workspace"):
        build_run_result(executions, ())


def test_cached_search_whose_results_are_deleted_raises_with_a_way_out(tmp_path):
    outputs = {"tuner_results": (Artifact(1, "TunerResults", str(tmp_path / "gone"), {}),)}
    search = Execution(6, "Tuner", "run", "cached", 0.0, 1.0, {}, outputs)

    with pytest.raises(UserError, match=r"gone: the results .* were deleted; .* another train\.seed"):
        build_search_result({"Tuner": search})
