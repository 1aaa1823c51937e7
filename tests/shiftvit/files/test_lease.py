"""Leases of folders, between processes and between hosts."""

import json
import os
import subprocess
import sys
import threading

import pytest

from shiftvit.errors import UserError
from shiftvit.files import lease

HOLD = """
import sys
from pathlib import Path
from shiftvit.files import lease
with lease.hold(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""
COUNT = """
import sys
from pathlib import Path
from shiftvit.files import lease
lease.POLL_SECONDS = 0.001
folder = Path(sys.argv[1])
for _ in range(20):
    with lease.hold(folder):
        counter = folder / "counter"
        count = int(counter.read_text()) if counter.exists() else 0
        counter.write_text(str(count + 1))
"""


@pytest.fixture(autouse=True)
def impatient(monkeypatch):
    monkeypatch.setattr(lease, "POLL_SECONDS", 0.01)


def start(code, folder):
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    return subprocess.Popen([sys.executable, "-c", code, str(folder)], **pipes)


def newest(folder):
    return max((folder / "lease").iterdir())


def write_owner(folder, **changes):
    """Writes a lease of this process, with changes."""
    held = lease.try_hold(folder)
    owner = json.loads(newest(folder).read_text())
    newest(folder).write_text(json.dumps(owner | changes))
    return held


def test_the_lease_of_a_killed_process_of_this_host_is_free_at_once(tmp_path):
    holder = start(HOLD, tmp_path)
    assert holder.stdout.readline() == "held\n"
    assert lease.try_hold(tmp_path) is None

    holder.kill()
    holder.wait()

    with lease.hold(tmp_path):
        assert len(list((tmp_path / "lease").iterdir())) == 1


def test_a_second_process_waits_and_says_for_whom(tmp_path, caplog):
    holder = start(HOLD, tmp_path)
    holder.stdout.readline()
    told = threading.Event()
    lease._LOGGER.addFilter(lambda record: told.set() or True)
    threading.Thread(target=lambda: (told.wait(), holder.stdin.close())).start()

    with lease.hold(tmp_path):
        holder.wait()

    [message] = caplog.messages
    assert message.startswith(f"waiting for {tmp_path}, which is in use by process {holder.pid} on ")


def test_the_lease_of_another_host_expires_without_a_sign_of_life(tmp_path, monkeypatch):
    monkeypatch.setattr(lease, "EXPIRY_SECONDS", 0.1)
    monkeypatch.setattr(lease, "HEARTBEAT_SECONDS", 3600)
    lost = write_owner(tmp_path, host="pod-1", table="another boot/1")

    with lease.hold(tmp_path) as held:
        held.check()
        with pytest.raises(UserError, match="another process took this folder over"):
            lost.check()
        lost.release()
        held.check()


def test_a_live_holder_of_another_host_is_waited_for(tmp_path, monkeypatch, caplog):
    monkeypatch.setattr(lease, "EXPIRY_SECONDS", 2.0)
    monkeypatch.setattr(lease, "HEARTBEAT_SECONDS", 0.01)
    held = write_owner(tmp_path, host="pod-1", table="another boot/1")
    threading.Timer(0.2, held.release).start()

    with lease.hold(tmp_path):
        assert "by process" in caplog.text and "on pod-1 since" in caplog.text


def test_a_process_id_that_is_used_again_proves_nothing_alive(tmp_path):
    write_owner(tmp_path, pid=os.getpid(), started="1")

    assert lease.try_hold(tmp_path)


def test_leases_exclude_each_other(tmp_path):
    processes = [start(COUNT, tmp_path) for _ in range(3)]

    assert [process.wait() for process in processes] == [0, 0, 0]
    assert (tmp_path / "counter").read_text() == "60"
