"""What `shiftvit clean` shows and removes, and what it leaves."""

import json
import os

import pytest
from ml_metadata.proto import metadata_store_pb2 as mlmd

from pipeline.cli.main import main
from pipeline.graph.fingerprint import graph_fingerprint
from pipeline.runs import workspace_lock
from pipeline.runs.lineage import Lineage
from pipeline.runs.workspace import Workspace
from shiftvit.files import atomic


def fill(path, content="content"):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)
    return path


@pytest.fixture
def workspace(tmp_path):
    """A workspace with something of every kind; `keep` and `go` are its files."""
    workspace = Workspace(tmp_path / "w")
    workspace.root.mkdir()
    return workspace


@pytest.fixture
def kept(workspace):
    """What must stay."""
    store = Lineage(workspace.metadata, writable=True).store
    kind = store.put_artifact_type(mlmd.ArtifactType(name="Model"))
    uri = workspace.artifacts / "Trainer" / "model" / "6"
    store.put_artifacts([mlmd.Artifact(type_id=kind, uri=str(uri), state=mlmd.Artifact.LIVE)])
    kind = store.put_execution_type(mlmd.ExecutionType(name="ImageExampleGen"))
    execution = mlmd.Execution(type_id=kind)
    execution.custom_properties["input_base"].string_value = str(workspace.sources / "used")
    store.put_executions([execution])
    code = graph_fingerprint()
    return [
        fill(uri / "saved_model.pb"),
        fill(workspace.sources / "used" / "train.bin"),
        fill(workspace.serving / "5" / "saved_model.pb"),
        fill(workspace.training / f"{code}weights" / "abc" / "state"),
        fill(workspace.tuning / code / "abc" / "state"),
        fill(workspace.runs / "20260101-000000" / "config.json"),
    ]


@pytest.fixture
def leftovers(workspace):
    """What can go."""
    return [
        fill(workspace.artifacts / "Trainer" / "model" / "7" / "saved_model.pb"),
        fill(workspace.artifacts / "Trainer" / ".system" / "executor_execution" / "7" / "output"),
        fill(workspace.sources / "unused" / "train.bin"),
        fill(workspace.sources / ".cifar.01234567.partial" / "train.bin"),
        fill(workspace.runs / "20260101-000000" / ".result.json.01234567.partial"),
        fill(workspace.training / "0123456789abcdef" / "abc" / "state"),
        fill(workspace.tuning / "0123456789abcdef" / "abc" / "state"),
    ]


def clean(workspace, *options):
    return main(["clean", "--workspace", str(workspace.root), *options])


def test_shows_and_removes_only_what_can_go(workspace, kept, leftovers, capsys):
    assert clean(workspace, "--json") == 0
    shown = json.loads(capsys.readouterr().out)
    assert all(path.exists() for path in leftovers), "without --yes"
    assert len(shown["leftovers"]) == len(leftovers) and shown["bytes"] == 7 * len(leftovers)

    assert clean(workspace, "--yes") == 0
    assert "0.0 MB removed." in capsys.readouterr().out
    assert not any(path.exists() for path in leftovers) and all(path.exists() for path in kept)
    assert clean(workspace) == 0 and "nothing can go" in capsys.readouterr().out


def test_knows_what_runs_used_in_a_moved_workspace(workspace, kept, leftovers, tmp_path):
    new = Workspace(tmp_path / "new place")
    workspace.root.rename(new.root)
    assert clean(new, "--yes") == 0
    assert all((new.root / path.relative_to(workspace.root)).exists() for path in kept)
    assert not any((new.root / path.relative_to(workspace.root)).exists() for path in leftovers)


def test_through_a_link_and_relative(workspace, kept, leftovers, tmp_path, monkeypatch):
    (tmp_path / "link").symlink_to(workspace.root)
    monkeypatch.chdir(tmp_path)
    assert main(["clean", "--yes", "--workspace", "link"]) == 0
    assert not any(path.exists() for path in leftovers) and all(path.exists() for path in kept)


def test_equal_copies_take_their_place_once(workspace, kept):
    store = Lineage(workspace.metadata, writable=True).store
    [execution] = store.get_executions()
    execution.ClearField("id")
    execution.custom_properties["input_base"].string_value = str(workspace.sources / "z")
    store.put_executions([execution])
    copy = fill(workspace.sources / "z" / "train.bin")
    other = fill(workspace.sources / "z" / "eval.bin", "CONTENT")
    assert clean(workspace, "--yes") == 0
    assert copy.samefile(workspace.sources / "used" / "train.bin")
    assert other.read_text() == "CONTENT"


def test_work_in_progress_stays(workspace):
    with atomic.folder(workspace.sources / "cifar") as unfinished:
        fill(unfinished / "train.bin")
        assert clean(workspace, "--yes") == 0
        assert (unfinished / "train.bin").exists()


def test_prepared_data_stays_where_no_run_is_recorded(workspace):
    prepared = fill(workspace.sources / "of a cluster" / "train.bin")
    assert clean(workspace, "--yes") == 0 and prepared.exists()


def test_refuses_during_a_run(workspace, leftovers, monkeypatch, capsys):
    monkeypatch.setattr(workspace_lock, "_GRACE", 0.0)
    with workspace_lock.acquire(workspace, wait=False) as lock:
        lock.set_owner("run 1")
        assert clean(workspace, "--yes") == 1
    assert "in use by run 1" in capsys.readouterr().err and all(path.exists() for path in leftovers)


def test_a_workspace_that_does_not_exist_is_not_created(workspace):
    os.rmdir(workspace.root)
    assert clean(workspace) == 0 and not workspace.root.exists()
