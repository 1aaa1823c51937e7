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

HOLDER = """
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
def no_grace_period(monkeypatch):
    monkeypatch.setattr(workspace_lock, "_GRACE", 0.0)


@contextmanager
def locked(folder, mode="alone"):
    """Yields a process that locks the workspace, and the id of its child, which inherits the lock if it lives."""
    holder = subprocess.Popen([sys.executable, "-c", HOLDER, str(folder), mode], stdout=subprocess.PIPE, text=True)
    child = int(holder.stdout.readline())
    try:
        yield holder, child
    finally:
        holder.kill()
        holder.wait()
        if mode != "alone":
            os.kill(child, signal.SIGKILL)


def acquire(folder, wait=False, notify=print):
    with workspace_lock.acquire(Workspace(folder), wait, notify):
        return "acquired"


def test_second_writer_is_refused_with_the_name_of_the_first(tmp_path):
    with locked(tmp_path) as (holder, _), pytest.raises(UserError) as refusal:
        acquire(tmp_path)

    assert str(refusal.value).startswith(f"--workspace {tmp_path} is in use by run 7 (process {holder.pid} on ")
    assert "wait for it with --wait" in str(refusal.value)
    assert acquire(tmp_path) == "acquired"


def test_lock_ends_with_a_killed_writer(tmp_path):
    with locked(tmp_path) as (holder, _):
        os.kill(holder.pid, signal.SIGKILL)
        holder.wait()

        assert "run 7" in Workspace(tmp_path).lock.read_text()
        assert acquire(tmp_path) == "acquired"


def test_child_of_a_killed_writer_keeps_the_lock(tmp_path):
    with locked(tmp_path, "with child") as (holder, _):
        os.kill(holder.pid, signal.SIGKILL)
        holder.wait()

        with pytest.raises(UserError, match="run 7"):
            acquire(tmp_path)


def test_waiting_writer_says_so_and_gets_the_lock_when_the_other_ends(tmp_path):
    notified, results = threading.Event(), []
    with locked(tmp_path) as (holder, _):
        waiting = threading.Thread(target=lambda: results.append(acquire(tmp_path, True, lambda _: notified.set())))
        waiting.start()
        assert notified.wait(HANG_SECONDS) and not results

        os.kill(holder.pid, signal.SIGTERM)
        waiting.join(HANG_SECONDS)

    assert results == ["acquired"]


def test_processes_of_a_killed_run_have_a_grace_period_to_end(tmp_path, monkeypatch):
    monkeypatch.setattr(workspace_lock, "_GRACE", HANG_SECONDS)
    with locked(tmp_path) as (holder, _):
        threading.Timer(0.5, holder.terminate).start()

        assert acquire(tmp_path) == "acquired"


@pytest.mark.parametrize("command", ["run", "tune"])
def test_second_run_is_refused_and_leaves_nothing(command, tmp_path, capsys):
    with locked(tmp_path):
        options = ["--workspace", str(tmp_path), "--set", "tune.trials=1"]
        assert main([command, *options]) == UserError.exit_code

    assert "run 7 (process" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == [Workspace(tmp_path).lock]


def test_workspace_that_cannot_be_written_is_an_error(tmp_path):
    (tmp_path / "file").touch()

    with pytest.raises(ConfigError, match=f"--workspace {tmp_path}/file: cannot write there"):
        acquire(tmp_path / "file")
