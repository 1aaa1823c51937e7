import json
import os
import shutil
import signal
from multiprocessing import Process
from pathlib import Path

import pytest
from ml_metadata.proto import metadata_store_pb2 as mlmd

from components import serving_folder
from pipeline.cli.main import main
from pipeline.runs import versions
from pipeline.runs.lineage import Lineage
from pipeline.runs.versions import find, find_model, list_versions, rollback, served_as
from pipeline.runs.workspace import RunFolder, Workspace
from shiftvit.errors import ConfigError, UserError


@pytest.fixture
def workspace(tmp_path):
    """A workspace with the versions 100 and 200, which the runs `old` and `new` pushed."""
    workspace = Workspace(tmp_path)
    for run_id, version, top1 in (("old", "100", 0.75), ("new", "200", 0.5)):
        folder = workspace.serving / version
        (folder / "variables").mkdir(parents=True)
        (folder / "saved_model.pb").write_text(run_id)
        (folder / "variables" / "variables.index").write_text(version)
        record_push(workspace, version, run_id)
        run_folder = RunFolder(workspace.runs / run_id)
        run_folder.path.mkdir(parents=True)
        run_folder.result.write_text(json.dumps({"metrics": {"top1": top1}}))
    return workspace


def record_push(workspace, version, run_id):
    """Records in ML Metadata that a run pushed the version."""
    lineage = Lineage(workspace.metadata, writable=True)
    store = lineage.store
    pushed_type = store.put_artifact_type(mlmd.ArtifactType(name="PushedModel", base_type=mlmd.ArtifactType.MODEL))
    pusher_type = store.put_execution_type(mlmd.ExecutionType(name="components.pusher.Pusher"))
    run_type = store.put_context_type(mlmd.ContextType(name="pipeline_run"))
    artifact = mlmd.Artifact(type_id=pushed_type, uri=str(workspace.root / "artifacts" / version))
    artifact.custom_properties["pushed_version"].string_value = version
    artifact.custom_properties["pushed_destination"].string_value = str(workspace.serving / version)
    store.put_execution(
        mlmd.Execution(type_id=pusher_type, last_known_state=mlmd.Execution.COMPLETE),
        [(artifact, mlmd.Event(type=mlmd.Event.OUTPUT))],
        [*lineage.pipeline_contexts(), mlmd.Context(type_id=run_type, name=run_id)],
        reuse_context_if_already_exist=True,
    )


def test_the_first_run_that_pushed_a_version_counts(workspace):
    record_push(workspace, "100", "again")

    assert [(v.number, v.run) for v in list_versions(workspace)] == [(200, "new"), (100, "old")]


def test_versions_are_listed_newest_first_with_run_and_top1(workspace):
    assert [(v.number, v.served, v.run, v.top1, v.rollback_of) for v in list_versions(workspace)] == [
        (200, True, "new", 0.5, None),
        (100, False, "old", 0.75, None),
    ]


def test_folders_without_a_model_or_a_number_are_no_versions(workspace):
    (workspace.serving / "300").mkdir()
    (workspace.serving / "latest").mkdir()
    (workspace.serving / "latest" / "saved_model.pb").write_text("")
    assert serving_folder.numbers(workspace.serving) == [200, 100]


def test_find_returns_the_newest_or_a_given_version(workspace, tmp_path):
    assert find(workspace, None).name == "200" and find(workspace, 100).name == "100"
    with pytest.raises(ConfigError, match=r"version 150 was never pushed .*, which has 200, 100"):
        find(workspace, 150)
    with pytest.raises(ConfigError, match="no version was pushed yet; train and push one with `shiftvit run`"):
        find(Workspace(tmp_path / "empty"), None)


def test_rollback_copies_a_version_under_the_next_number(workspace):
    assert rollback(workspace, 100) == 201
    origin = str(Path("assets.extra", "origin.json"))
    copied = contents(workspace.serving / "201")
    assert copied.pop(origin) and copied == contents(workspace.serving / "100")
    assert sorted(path.name for path in workspace.serving.iterdir()) == ["100", "200", "201"]
    assert [(v.number, v.served, v.run, v.top1, v.rollback_of) for v in list_versions(workspace)] == [
        (201, True, "old", 0.75, 100),
        (200, False, "new", 0.5, None),
        (100, False, "old", 0.75, None),
    ]


def test_lineage_of_a_rollback_leads_to_the_pusher(workspace):
    rollback(workspace, 100)
    lineage = Lineage(workspace.metadata)
    steps = list(lineage.walk(lineage.pushed()["201"][0]))
    assert [step.artifact.properties["pushed_version"] for step in steps] == ["201", "100"]
    assert steps[0].artifact.properties["rollback_of"] == "100"
    assert steps[1].maker.run == "old"
    assert "Rollback" in {e.type for e in lineage.store.get_executions_by_context(lineage.pipeline_contexts()[0].id)}


def test_rollback_of_a_rollback_has_the_run_of_the_model(workspace):
    for number in (100, 200, 201):
        rollback(workspace, number)
    assert [(v.number, v.run, v.rollback_of) for v in list_versions(workspace)][:3] == [
        (203, "old", 201),
        (202, "new", 200),
        (201, "old", 100),
    ]


def test_rollback_to_the_served_version_changes_nothing(workspace):
    before = workspace.metadata.read_bytes()
    assert rollback(workspace, 200) is None and served_as(workspace, 200) == 200
    assert serving_folder.numbers(workspace.serving) == [200, 100] and workspace.metadata.read_bytes() == before


def test_rollback_to_the_model_that_a_rollback_serves_changes_nothing(workspace):
    rollback(workspace, 100)
    assert rollback(workspace, 100) is None and served_as(workspace, 100) == 201
    assert served_as(workspace, 200) is None and serving_folder.numbers(workspace.serving) == [201, 200, 100]


def test_json_of_a_rollback_has_the_served_version(workspace, capsys):
    for new in (True, False):
        assert main(["rollback", "100", "--json", "--workspace", str(workspace.root)]) == 0
        assert json.loads(capsys.readouterr().out) == {"version": 201, "same_as": 100, "new": new}


def test_rollback_to_an_unknown_version_is_refused(workspace):
    with pytest.raises(ConfigError, match="which has 200, 100"):
        rollback(workspace, 7)
    assert serving_folder.numbers(workspace.serving) == [200, 100]


def test_rollback_that_cannot_be_written_leaves_nothing(workspace):
    (workspace.serving / "100" / "assets").symlink_to("nowhere")
    with pytest.raises(UserError, match="serving/shiftvit: cannot copy version 100 there"):
        rollback(workspace, 100)
    assert sorted(path.name for path in workspace.serving.iterdir()) == ["100", "200"]
    assert set(Lineage(workspace.metadata).pushed()) == {"100", "200"}


def archive(workspace, number):
    """Moves a version to the folder of the Pusher's copy, as if newer versions had replaced it."""
    (workspace.root / "artifacts").mkdir(exist_ok=True)
    (workspace.serving / str(number)).rename(workspace.root / "artifacts" / str(number))


def test_rollback_to_a_replaced_version_uses_the_pushers_copy(workspace):
    original = contents(workspace.serving / "100")
    archive(workspace, 100)

    assert [v.number for v in list_versions(workspace)] == [200]
    with pytest.raises(
        ConfigError, match=r"version 100 is no longer in .*; bring it back with `shiftvit rollback 100`"
    ):
        find(workspace, 100)
    with pytest.raises(
        ConfigError, match=r"7 was never pushed .*, which has 200; `shiftvit rollback` can bring back 100"
    ):
        rollback(workspace, 7)
    assert rollback(workspace, 100) == 201

    assert original.items() <= contents(workspace.serving / "201").items()
    assert [(v.number, v.run, v.rollback_of) for v in list_versions(workspace)] == [
        (201, "old", 100),
        (200, "new", None),
    ]
    assert rollback(workspace, 100) is None and served_as(workspace, 100) == 201


def test_rollback_to_a_deleted_version_is_refused(workspace):
    shutil.rmtree(workspace.serving / "100")

    with pytest.raises(ConfigError, match=r"version 100 and its archived copy were deleted from .*, which has 200$"):
        rollback(workspace, 100)


def test_rollback_to_a_deleted_rollback_uses_the_original_model(workspace):
    rollback(workspace, 100)
    rollback(workspace, 200)
    archive(workspace, 100)
    shutil.rmtree(workspace.serving / "201")

    assert find_model(workspace, 201) == workspace.root / "artifacts" / "100"
    assert rollback(workspace, 201) == 203
    assert next((v.number, v.run, v.rollback_of) for v in list_versions(workspace)) == (203, "old", 201)


def test_rollback_works_with_an_empty_serving_folder(workspace):
    archive(workspace, 100)
    shutil.rmtree(workspace.serving)

    with pytest.raises(ConfigError, match="no version was pushed yet"):
        find(workspace, None)
    assert rollback(workspace, 100) == 201, "200 is taken, even though it was deleted"
    assert find(workspace, None).name == "201"


def test_rollback_keeps_as_many_versions_as_the_last_push(workspace, tmp_path):
    shutil.copytree(workspace.serving / "200", tmp_path / "model")
    serving_folder.publish(
        tmp_path / "model", workspace.serving, serving_folder.Origin(model="a", keep=3), at_least=300
    )

    made = [rollback(workspace, number) for number in (100, 200)]

    assert made == [301, 302] and serving_folder.numbers(workspace.serving) == [302, 301, 300]


def test_rollback_keeps_five_versions_if_no_push_is_known(workspace):
    for number in (100, 200, 100, 200):
        rollback(workspace, number)

    assert serving_folder.numbers(workspace.serving) == [204, 203, 202, 201, 200]


def test_rollback_is_recorded_after_ml_metadata_was_deleted(workspace):
    workspace.metadata.unlink()

    assert [rollback(workspace, number) for number in (100, 200)] == [201, 202]
    assert [(v.number, v.rollback_of) for v in list_versions(workspace)][:2] == [(202, 200), (201, 100)]
    assert set(Lineage(workspace.metadata).pushed()) == {"201", "202"}


def test_rollback_that_was_killed_before_its_record_is_recorded_by_the_next(workspace):
    killed = Process(target=rollback_killed_before_record, args=(workspace,))
    killed.start()
    killed.join()

    assert killed.exitcode == -signal.SIGKILL and "201" not in Lineage(workspace.metadata).pushed()
    assert next((v.number, v.run, v.rollback_of) for v in list_versions(workspace)) == (201, "old", 100)
    assert served_as(workspace, 100) == 201
    assert rollback(workspace, 100) is None
    lineage = Lineage(workspace.metadata)
    assert lineage.pushed()["201"][0].properties["rollback_of"] == "100"
    assert len(list(lineage.walk(lineage.pushed()["201"][0]))) == 2
    assert rollback(workspace, 200) == 202


def rollback_killed_before_record(workspace):
    versions._record = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
    versions.rollback(workspace, 100)


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
