"""Runs in a workspace that was moved, in a copy of it, and after an old model was deleted."""

import shutil

import pytest
from small_runs import run_arguments, shiftvit, versions

from pipeline.config import config_file
from pipeline.graph.nodes import Node
from pipeline.runs.lineage import Lineage
from pipeline.runs.workspace import Workspace

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def moved(tmp_path_factory):
    """A workspace that was moved after its run."""
    folder = tmp_path_factory.mktemp("places")
    done = shiftvit(*run_arguments(folder / "first", tune__trials=0))
    assert done.returncode == 0, done.stderr
    shutil.move(folder / "first", folder / "second place")
    return folder / "second place"


def last_run(workspace):
    place = Workspace(workspace)
    return {each.node: each for each in Lineage(place.metadata).executions(place.run_folders()[-1].id)}


def files(workspace):
    """Returns the time of the last change of each file."""
    return {path: path.stat().st_mtime_ns for path in workspace.rglob("*") if path.is_file()}


def test_run_in_a_moved_workspace_comes_from_the_cache(moved):
    assert str(versions(moved)[0]) in shiftvit("show", "--workspace", moved).stdout, "before any run there"
    done = shiftvit(*run_arguments(moved, tune__trials=0))

    assert done.returncode == 0, done.stderr
    states = {node: execution.state for node, execution in last_run(moved).items() if node != Node.BASELINE}
    assert set(states.values()) == {"cached"} and len(versions(moved)) == 1
    assert not (moved.parent / "first").exists()


def test_run_in_a_copy_has_the_copys_baseline_and_leaves_the_original_alone(moved):
    copy = moved.parent / "copy"
    shutil.copytree(moved, copy)
    before = files(moved)
    config = Workspace(copy).run_folders()[0].config
    assert config_file.load(config).workspace not in (str(copy), str(moved)), "it names where the first run was"
    done = shiftvit("run", "--config", config, "--set", "train.seed=7")

    assert done.returncode == 0, done.stderr
    baseline = last_run(copy)[Node.EVALUATOR].inputs["baseline_model"][0].uri
    assert baseline.startswith(f"{copy}/artifacts/") and len(versions(copy)) == 2
    assert files(moved) == before


def test_deleted_baseline_is_named_before_the_training(moved):
    copy = moved.parent / "poorer"
    shutil.copytree(moved, copy)
    model = copy / "artifacts" / "Trainer" / "model"
    [deleted] = model.iterdir()
    shutil.rmtree(deleted)
    done = shiftvit(*run_arguments(copy, tune__trials=0, train__seed=8))

    assert done.returncode == 0, done.stderr
    lines = done.stderr.splitlines()
    note = next(index for index, line in enumerate(lines) if f"{deleted} was deleted: the model is compared" in line)
    assert note < next(index for index, line in enumerate(lines) if line.startswith("Trainer: "))
