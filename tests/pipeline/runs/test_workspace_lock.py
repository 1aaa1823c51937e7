import os
import signal
import subprocess
import sys
import threading
from contextlib import contextmanager

import pytest
from waiting import HANG_SECONDS

from pipeline.cli.main import main
from pipeline.runs import workspace_lock
from pipeline.runs.workspace import Workspace
from shiftvit.errors import ConfigError, UserError

HOLD = """
import subprocess, sys, time
from pathlib import Path
from pipeline.runs.workspace import Workspace
from pipeline.runs import workspace_lock
with workspace_lock.acquire(Workspace(Path(sys.argv[1])), wait=False) as lock:
    lock.set_owner("run 7")
    child = subprocess.Popen(["sleep", "3600"], pass_fds=[lock.descriptor], stdout=subprocess.DEVNULL)
    if sys.argv[2] == "alone":
        child.kill()
        child.wait()
    print(child.pid, flush=True)
    time.sleep(3600)
"""


@pytest.fixture(autouse=True)
def impatient(monkeypatch):
    monkeypatch.setattr(workspace_lock, "_GRACE", 0.0)


@contextmanager
def held(folder, how="alone"):
    """A process that holds the workspace, alone or with a child that inherits; gives it and the child's id."""
    holder = subprocess.Popen([sys.executable, "-c", HOLD, str(folder), how], stdout=subprocess.PIPE, text=True)
    child = int(holder.stdout.readline())
    try:
        yield holder, child
    finally:
        holder.kill()
        holder.wait()
        if how != "alone":
            os.kill(child, signal.SIGKILL)


def take(folder, wait=False, notify=print):
    with workspace_lock.acquire(Workspace(folder), wait, notify):
        return "taken"


def test_a_second_writer_is_refused_and_told_who_holds_the_workspace(tmp_path):
    with held(tmp_path) as (holder, _), pytest.raises(UserError) as refusal:
        take(tmp_path)

    assert str(refusal.value).startswith(f"--workspace {tmp_path} is in use by run 7 (process {holder.pid} on ")
    assert "wait for it with --wait" in str(refusal.value)
    assert take(tmp_path) == "taken"


def test_what_a_killed_writer_leaves_is_no_lock(tmp_path):
    with held(tmp_path) as (holder, _):
        os.kill(holder.pid, signal.SIGKILL)
        holder.wait()

        assert "run 7" in Workspace(tmp_path).lock.read_text()
        assert take(tmp_path) == "taken"


def test_what_a_killed_writer_started_holds_it_still(tmp_path):
    with held(tmp_path, "with child") as (holder, _):
        os.kill(holder.pid, signal.SIGKILL)
        holder.wait()

        with pytest.raises(UserError, match="run 7"):
            take(tmp_path)


def test_a_writer_that_waits_says_for_whom_and_comes_when_the_other_ends(tmp_path):
    told, taken = threading.Event(), []
    with held(tmp_path) as (holder, _):
        waiting = threading.Thread(target=lambda: taken.append(take(tmp_path, True, lambda said: told.set())))
        waiting.start()
        assert told.wait(HANG_SECONDS) and not taken

        os.kill(holder.pid, signal.SIGTERM)
        waiting.join(HANG_SECONDS)

    assert taken == ["taken"]


def test_a_run_that_was_killed_just_now_may_take_a_moment_to_end(tmp_path, monkeypatch):
    monkeypatch.setattr(workspace_lock, "_GRACE", HANG_SECONDS)
    with held(tmp_path) as (holder, _):
        threading.Timer(0.5, holder.terminate).start()

        assert take(tmp_path) == "taken"


@pytest.mark.parametrize("command", ["run", "tune"])
def test_a_second_run_is_refused_and_leaves_nothing(command, tmp_path, capsys):
    with held(tmp_path):
        options = ["--workspace", str(tmp_path), "--set", "tune.trials=1"]
        assert main([command, *options]) == UserError.exit_code

    assert "run 7 (process" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == [Workspace(tmp_path).lock]


def test_a_workspace_that_cannot_be_written_is_told(tmp_path):
    (tmp_path / "file").touch()

    with pytest.raises(ConfigError, match=f"--workspace {tmp_path}/file: cannot write there"):
        take(tmp_path / "file")
