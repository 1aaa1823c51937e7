"""A workspace belongs to the stack of its first run; what only reads it, and a rollback, work on either stack."""

import hashlib

import pytest
import servers
from made_runs import make_predictions, make_run

from pipeline.cli.main import main
from pipeline.runs import workspace_lock, workspace_stack
from pipeline.runs.lineage import Lineage
from pipeline.runs.workspace import Workspace
from shiftvit.errors import ConfigError
from shiftvit.stack import CLASSIC, CURRENT, STACK

OTHER = CURRENT if STACK == CLASSIC else CLASSIC


@pytest.fixture
def others(tmp_path):
    """A workspace with two runs of the other stack and the model that one of them pushed."""
    workspace = Workspace(tmp_path / "of the other")
    for run_id in ("20260101-000000", "20260102-000000"):
        make_run(workspace, run_id, make_predictions([0, 1, 0, 1], [0, 1, 0, 0]))
    Lineage(workspace.metadata, writable=True).pipeline_contexts()
    servers.publish(workspace, servers.save_model(tmp_path / "model"))
    workspace.stack.write_text(f"{OTHER}\n")
    return workspace


def content(workspace):
    """Returns a digest of each file, by path; of a folder, None."""
    paths = sorted(workspace.root.rglob("*"))
    return {path: hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else None for path in paths}


@pytest.mark.parametrize("command", [["run"], ["tune", "--set", "tune.trials=2"], ["run", "--wait"]], ids=" ".join)
def test_commands_that_run_the_graph_refuse_the_workspace_of_the_other_stack(command, others, capsys):
    before = content(others)

    assert main([*command, "--workspace", str(others.root)]) == 2
    assert content(others) == before
    out, err = capsys.readouterr()
    assert out == "" and err.count("\n") == 1
    assert f"--workspace {others.root} belongs to the {OTHER} stack, and this is the {STACK} stack" in err
    assert err.endswith(f"name another --workspace, or run on the {OTHER} stack, which is STACK={OTHER} for make\n")


def test_the_other_stack_is_named_even_while_it_runs(others, monkeypatch):
    monkeypatch.setattr(workspace_lock, "_GRACE", 0.0)
    with workspace_lock.acquire(others, wait=False), pytest.raises(ConfigError, match="belongs to"):
        workspace_stack.check(others)


@pytest.mark.parametrize(
    "command",
    [
        ["runs"],
        ["show"],
        ["report", "--json"],
        ["compare", "20260101-000000", "20260102-000000"],
        ["versions"],
        ["predict", "red.png"],
    ],
    ids=lambda command: command[0],
)
def test_commands_that_read_leave_the_workspace_of_the_other_stack_as_it_is(command, others, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "red.png").write_bytes(servers.png("red"))
    before = content(others)

    assert main([*command, "--workspace", str(others.root)]) == 0
    assert content(others) == before


def test_a_model_of_the_other_stack_is_served(others):
    with servers.running(others) as server:
        assert server.post(servers.RED).json()["predictions"][0]["class_name"] == "red"


def test_a_rollback_works_on_either_stack_and_leaves_the_workspace_to_its_own(others, tmp_path):
    servers.publish(others, servers.save_model(tmp_path / "german", servers.GERMAN))

    assert main(["rollback", "1", "--workspace", str(others.root)]) == 0
    assert sorted(path.name for path in others.serving.iterdir()) == ["1", "2", "3"]
    assert workspace_stack.read(others) == OTHER and "3" in Lineage(others.metadata).pushed()


def test_the_first_run_writes_its_stack(tmp_path):
    workspace = Workspace(tmp_path / "new")
    assert workspace_stack.read(workspace) is None

    with workspace_lock.acquire(workspace, wait=False):
        workspace_stack.claim(workspace)
    workspace_stack.check(workspace)
    assert workspace.stack.read_text() == f"{STACK}\n"


def test_a_rollback_alone_does_not_choose_a_stack(tmp_path):
    workspace = Workspace(tmp_path / "copied")
    for names in (servers.ENGLISH, servers.GERMAN):
        servers.publish(workspace, servers.save_model(tmp_path / names[0], names))

    assert main(["rollback", "1", "--workspace", str(workspace.root)]) == 0
    assert workspace.metadata.exists() and workspace_stack.read(workspace) is None


@pytest.mark.parametrize("made", ["runs", "artifacts"])
def test_a_workspace_from_before_there_were_two_stacks_is_classic(made, tmp_path):
    workspace = Workspace(tmp_path)
    (tmp_path / made).mkdir()

    assert workspace_stack.read(workspace) == CLASSIC
