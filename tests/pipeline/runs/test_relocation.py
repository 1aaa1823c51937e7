"""ML Metadata of a workspace that was moved or copied."""

import json
import shutil

import pytest
from ml_metadata.proto import metadata_store_pb2 as mlmd

from pipeline.runs import relocation, workspace_lock
from pipeline.runs.lineage import Lineage
from pipeline.runs.workspace import Workspace


@pytest.fixture(params=["workspace", "wörk space [1]"])
def workspace(tmp_path, request):
    """A workspace with paths in it, beside it and of a similar name."""
    workspace = Workspace(tmp_path / request.param)
    workspace.root.mkdir()
    store = Lineage(workspace.metadata, writable=True).store
    kind = mlmd.ArtifactType(name="Model", properties={"note": mlmd.STRING})
    kind_id = store.put_artifact_type(kind)
    root = str(workspace.root)
    for uri in (f"{root}/artifacts/Trainer/model/5", f"{root}2/model", f"{tmp_path}/elsewhere/artifacts.txt"):
        artifact = mlmd.Artifact(type_id=kind_id, uri=uri)
        artifact.properties["note"].string_value = json.dumps({"path": f"{root}/serving", "other": f"/x{root}/serving"})
        store.put_artifacts([artifact])
    return workspace


def uris(workspace):
    lineage = Lineage(workspace.metadata)
    return [lineage._artifact(artifact).uri for artifact in lineage.store.get_artifacts()]


def stored(workspace):
    return [artifact.uri for artifact in Lineage(workspace.metadata).store.get_artifacts()]


@pytest.mark.parametrize("move", [shutil.move, shutil.copytree])
def test_paths_follow_a_workspace(workspace, tmp_path, move):
    old, new = workspace.root, tmp_path / "new $place"
    move(old, new)
    expected = [f"{new}/artifacts/Trainer/model/5", f"{old}2/model", f"{tmp_path}/elsewhere/artifacts.txt"]

    assert uris(Workspace(new)) == expected, "for readers"
    assert stored(Workspace(new))[0].startswith(f"{old}/"), "they write nothing"
    with workspace_lock.acquire(Workspace(new), wait=False):
        assert stored(Workspace(new)) == expected
    note = Lineage(Workspace(new).metadata).store.get_artifacts()[0].properties["note"].string_value
    assert json.loads(note) == {"path": f"{new}/serving", "other": f"/x{old}/serving"}


def test_a_workspace_that_stays_is_not_written(workspace):
    before = workspace.metadata.read_bytes()
    relocation.follow(workspace)
    assert workspace.metadata.read_bytes() == before and uris(workspace) == stored(workspace)


def test_a_workspace_without_metadata_stays_so(tmp_path):
    relocation.follow(Workspace(tmp_path))
    assert list(tmp_path.iterdir()) == [] and relocation.follower(tmp_path / "metadata.sqlite")("/a/b") == "/a/b"
