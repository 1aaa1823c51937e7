"""Watches real child processes that send events."""

import json
import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from waiting import HANG_SECONDS, wait_until

from pipeline.config import config_file
from pipeline.config.overrides import override
from pipeline.config.presets import quickstart
from pipeline.runners.local import launch
from pipeline.runs import run_folder
from pipeline.runs.outcome import Outcome
from pipeline.runs.workspace import RunFolder
from shiftvit import processes
from shiftvit.errors import ConfigError

PREAMBLE = """
import json, os, signal, subprocess, sys, time
def send(**event):
    os.write(int(sys.argv[sys.argv.index("--events-fd") + 1]), (json.dumps(event) + "\\n").encode())
def node(name, state):
    send(event="node", node=name, state=state)
send(event="plan", nodes=["Trainer"])
"""


@pytest.fixture
def folder(tmp_path):
    return run_folder.create(override(quickstart(), [f"workspace={tmp_path / 'workspace'}"]))


def child(folder: RunFolder, body: str) -> list[str]:
    script = folder.path / "child.py"
    script.write_text(PREAMBLE + textwrap.dedent(body))
    return [sys.executable, str(script)]


def execute(folder: RunFolder, body: str) -> tuple[Outcome, list]:
    events = []
    return launch.execute(folder, events.append, child(folder, body)), events


def test_each_run_gets_a_folder_of_its_own_with_its_configuration(tmp_path):
    config = override(quickstart(), [f"workspace={tmp_path}", "train.epochs=3"])
    folders = [run_folder.create(config) for _ in range(3)]
    assert len({folder.id for folder in folders}) == 3
    assert sorted(folders, key=lambda folder: folder.id) == folders
    assert config_file.load(folders[1].config) == config


def test_unwritable_workspace_raises(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match=r"--workspace .*file: cannot write there"):
        run_folder.create(override(quickstart(), [f"workspace={tmp_path / 'file'}"]))


def test_events_arrive_in_order_and_output_goes_to_the_log(folder):
    outcome, events = execute(
        folder,
        """
        print("output"); print("warning", file=sys.stderr)
        node("Trainer", "running"); node("Trainer", "complete")
        send(event="result", pushed_version="7", new=True, destination="d/7", metrics={"top1": 0.9}, reasons=[])
    """,
    )
    assert [event["event"] for event in events] == ["plan", "node", "node", "result"]
    assert outcome.exit_code == 0 and outcome.message is None and outcome.result.pushed_version == "7"
    assert {"output", "warning"} <= set(folder.log.read_text().split())
    assert json.loads(folder.outcome.read_text())["exit_code"] == 0


def test_error_event_sets_message_and_exit_code(folder):
    outcome, _ = execute(
        folder,
        """
        send(event="error", message="data.bin: label 200 at offset 3073", exit_code=3)
        sys.exit(3)
    """,
    )
    assert (outcome.exit_code, outcome.message) == (3, "data.bin: label 200 at offset 3073")


def test_model_that_is_not_blessed_keeps_the_exit_code_of_the_child(folder):
    outcome, _ = execute(
        folder,
        """
        send(event="result", pushed_version=None, new=False, destination="d", metrics={}, reasons=["top-1 too low"])
        sys.exit(4)
    """,
    )
    assert outcome.exit_code == 4 and outcome.message is None


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("os.kill(os.getpid(), signal.SIGKILL)", "ended by SIGKILL, which is what happens when memory runs out"),
        ("raise ValueError('no such thing')", "ValueError: no such thing"),
        ("sys.exit(9)", "exit status 9"),
        ("pass", "without an error message"),
    ],
)
def test_crash_without_an_error_event_is_explained_and_names_the_log(folder, body, reason):
    outcome, _ = execute(folder, body)
    assert outcome.exit_code == 1
    assert reason in outcome.message and str(folder.log) in outcome.message


def test_crash_after_the_result_is_a_failure(folder):
    outcome, _ = execute(
        folder,
        """
        send(event="result", pushed_version="7", new=True, destination="d/7", metrics={}, reasons=[])
        raise OSError("disk full")
    """,
    )
    assert outcome.exit_code == 1 and "OSError: disk full" in outcome.message


def test_orphaned_process_does_not_delay_the_end_of_the_run(folder):
    outcome, _ = execute(
        folder,
        """
        send(event="result", pushed_version="7", new=True, destination="d/7", metrics={}, reasons=[])
        orphan = subprocess.Popen(["sleep", "3600"], close_fds=False)
        open(os.path.join(os.path.dirname(sys.argv[0]), "orphan"), "w").write(str(orphan.pid))
    """,
    )
    try:
        assert outcome.exit_code == 0
        assert run_folder.is_alive(folder), "the orphan still holds the lock of the log"
    finally:
        os.kill(int((folder.path / "orphan").read_text()), signal.SIGKILL)


# Python ignores SIGINT when a shell starts it in the background.
WATCHER = """
import signal
import sys
from pathlib import Path
from pipeline.runners.local import launch
from pipeline.runs.workspace import RunFolder
signal.signal(signal.SIGINT, signal.default_int_handler)
outcome = launch.execute(RunFolder(Path(sys.argv[1])), print, sys.argv[2:])
print(outcome.message)
sys.exit(outcome.exit_code)
"""


@pytest.fixture
def watched(folder):
    """A watcher process whose child is asleep; the child's pid is in the file `pid`."""
    command = child(
        folder,
        """
        def end(*_):
            slow = os.path.join(os.path.dirname(sys.argv[0]), "slow")
            os.rename(slow, slow + ".stopping") if os.path.exists(slow) else sys.exit()
        signal.signal(signal.SIGTERM, end)
        open(os.path.join(os.path.dirname(sys.argv[0]), "pid.partial"), "w").write(str(os.getpid()))
        os.rename(os.path.join(os.path.dirname(sys.argv[0]), "pid.partial"),
                  os.path.join(os.path.dirname(sys.argv[0]), "pid"))
        node("Trainer", "running")
        time.sleep(3600)
    """,
    )
    watcher = subprocess.Popen(
        [sys.executable, "-c", WATCHER, str(folder.path), *command],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(Path(launch.__file__).parents[3])},
    )
    wait_until((folder.path / "pid").exists)
    yield watcher, folder
    watcher.kill()
    watcher.communicate()


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM])
def test_interrupt_ends_the_child_and_exits_130(watched, sent):
    watcher, folder = watched
    assert run_folder.is_alive(folder)
    watcher.send_signal(sent)
    output, _ = watcher.communicate(timeout=HANG_SECONDS)
    assert watcher.returncode == 130 and "repeat the command to continue" in output
    assert not run_folder.is_alive(folder) and is_gone(folder)
    assert json.loads(folder.outcome.read_text())["exit_code"] == 130


@pytest.mark.parametrize("second", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_second_signal_kills_a_child_that_takes_its_time(watched, second):
    watcher, folder = watched
    (folder.path / "slow").touch()
    watcher.send_signal(signal.SIGHUP)
    wait_until((folder.path / "slow.stopping").exists)
    watcher.send_signal(second)

    output, errors = watcher.communicate(timeout=HANG_SECONDS)

    assert watcher.returncode == 130 and "repeat the command to continue" in output and is_gone(folder), errors
    assert json.loads(folder.outcome.read_text())["exit_code"] == 130


@pytest.mark.parametrize("group", [True, False])
def test_signal_to_a_process_that_has_ended_is_no_error(group):
    process = subprocess.Popen(["true"], start_new_session=True)
    process.wait()

    processes.send(process, signal.SIGTERM, group)


@pytest.mark.skipif(sys.platform != "linux", reason="prctl is specific to Linux")
def test_child_does_not_outlive_a_watcher_that_is_killed(watched):
    watcher, folder = watched
    watcher.kill()
    wait_until(lambda: is_gone(folder))
    assert not run_folder.is_alive(folder) and not folder.outcome.exists()


def is_gone(folder: RunFolder) -> bool:
    try:
        os.kill(int((folder.path / "pid").read_text()), 0)
    except ProcessLookupError:
        return True
    status = Path(f"/proc/{(folder.path / 'pid').read_text()}/stat")
    return status.exists() and status.read_text().split()[2] == "Z"  # a zombie: dead, and not reaped yet


def test_child_inherits_the_lock_of_the_workspace(tmp_path):
    folder = run_folder.create(override(quickstart(), [f"workspace={tmp_path}"]))
    with (tmp_path / "lock").open("w") as lock:
        program = f"import os; os.fstat({lock.fileno()}); raise SystemExit(7)"
        outcome = launch.execute(folder, lambda event: None, [sys.executable, "-c", program], lock.fileno())

    assert "exit status 7" in outcome.message
