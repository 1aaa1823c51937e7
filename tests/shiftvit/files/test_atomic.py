import os
import signal
import subprocess
import sys
import time
from contextlib import contextmanager

import pytest

from shiftvit.files import atomic, locks

MAKE_A_FOLDER = """
import sys, time
from pathlib import Path
from shiftvit.files import atomic
with atomic.folder(Path(sys.argv[1])) as unfinished:
    (unfinished / "half").write_text("")
    print("half", flush=True)
    time.sleep(3600)
"""
WRITE_REPEATEDLY = """
import itertools, sys
from pathlib import Path
from shiftvit.files import atomic
print("begins", flush=True)
for number in itertools.count():
    atomic.write_file(Path(sys.argv[1]), b"ab"[number % 2 : number % 2 + 1] * 1_000_000)
"""
WRITE_WITH_LITTLE_ROOM = """
import resource, sys
from pathlib import Path
from shiftvit.files import atomic
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
try:
    atomic.write_file(Path(sys.argv[1]), "new" * 1000)
except OSError:
    print("refused")
"""
HOLD = """
import sys, time
from pathlib import Path
from shiftvit.files import atomic
with atomic.hold(Path(sys.argv[1])):
    print("holds", flush=True)
    time.sleep(3600)
"""


@contextmanager
def process(program, path):
    """Runs the program on the path until the block ends, then kills it; it has printed its first line."""
    started = subprocess.Popen([sys.executable, "-c", program, str(path)], stdout=subprocess.PIPE, text=True)
    assert started.stdout.readline()
    try:
        yield started
    finally:
        started.send_signal(signal.SIGKILL)
        started.wait()
        started.stdout.close()


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_a_file_is_written_and_overwritten(tmp_path):
    for content, read in (("text", b"text"), (b"bytes", b"bytes")):
        atomic.write_file(tmp_path / "f.json", content)

        assert (tmp_path / "f.json").read_bytes() == read
        assert names(tmp_path) == ["f.json"]


def test_file_permissions_follow_the_umask(tmp_path):
    (tmp_path / "usual").write_text("")
    atomic.write_file(tmp_path / "whole", "")

    assert (tmp_path / "whole").stat().st_mode == (tmp_path / "usual").stat().st_mode


def test_a_failed_write_leaves_the_old_content_and_nothing_beside_it(tmp_path):
    (tmp_path / "f.json").write_text("old")

    command = [sys.executable, "-c", WRITE_WITH_LITTLE_ROOM, str(tmp_path / "f.json")]
    assert subprocess.run(command, capture_output=True, text=True).stdout == "refused\n"

    assert (tmp_path / "f.json").read_text() == "old"
    assert names(tmp_path) == ["f.json"]


def test_a_reader_never_sees_a_partial_file_even_if_the_writer_is_killed(tmp_path):
    path = tmp_path / "f"
    atomic.write_file(path, b"a" * 1_000_000)
    for attempt in range(6):
        with process(WRITE_REPEATEDLY, path):
            until = time.monotonic() + 0.05 + 0.013 * attempt
            while time.monotonic() < until:
                content = path.read_bytes()
                assert len(content) == 1_000_000 and len(set(content)) == 1

    assert len(path.read_bytes()) == 1_000_000
    atomic.write_file(path, "next")
    assert names(tmp_path) == ["f"]


def test_a_folder_appears_only_when_complete(tmp_path):
    with atomic.folder(tmp_path / "above" / "target") as unfinished:
        (unfinished / "deep").mkdir()
        (unfinished / "deep" / "file").write_text("x")
        assert not (tmp_path / "above" / "target").exists() and unfinished.name.startswith(".")

    assert (tmp_path / "above" / "target" / "deep" / "file").read_text() == "x"
    assert names(tmp_path / "above") == ["target"]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_a_failed_folder_leaves_nothing(tmp_path, error):
    with pytest.raises(error), atomic.folder(tmp_path / "target") as unfinished:
        (unfinished / "file").write_text("x")
        raise error

    assert names(tmp_path) == []


def test_a_folder_does_not_replace_an_existing_one(tmp_path):
    with pytest.raises(OSError), atomic.folder(tmp_path / "target") as unfinished:
        (unfinished / "file").write_text("second")
        with atomic.folder(tmp_path / "target") as other:
            (other / "file").write_text("first")

    assert (tmp_path / "target" / "file").read_text() == "first"
    assert names(tmp_path) == ["target"]


def test_leftovers_of_killed_writers_are_removed_but_not_the_work_of_live_ones(tmp_path):
    with process(MAKE_A_FOLDER, tmp_path / "target"):
        [live] = tmp_path.iterdir()
        with atomic.folder(tmp_path / "target") as unfinished:
            assert names(tmp_path) == sorted([live.name, unfinished.name])
        assert names(tmp_path) == [live.name, "target"] and names(live) == ["half"]
    assert names(tmp_path) == [live.name, "target"]
    (tmp_path / ".target.download.partial").mkdir()  # not created by `atomic`

    with atomic.folder(tmp_path / "another"):
        assert live.exists(), "it belongs to another name"
    atomic.remove_leftovers(tmp_path, "target")

    assert names(tmp_path) == [".target.download.partial", "another", "target"]


def test_a_held_folder_is_not_removed(tmp_path):
    (tmp_path / "version").mkdir()
    (tmp_path / "version" / "file").write_text("x")
    with process(HOLD, tmp_path / "version"):
        assert not atomic.remove(tmp_path / "version")
        assert (tmp_path / "version" / "file").read_text() == "x"

    assert atomic.remove(tmp_path / "version")
    assert names(tmp_path) == []


def test_removal_is_atomic_for_readers(tmp_path, monkeypatch):
    (tmp_path / "version").mkdir()
    seen = []
    monkeypatch.setattr(atomic.shutil, "rmtree", lambda path, **_: seen.append(names(tmp_path)))

    atomic.remove(tmp_path / "version")

    [[hidden]] = seen
    assert hidden.startswith(".version.") and hidden.endswith(".partial")


def test_a_folder_replaced_while_waiting_for_its_lock_is_not_held(tmp_path, monkeypatch):
    (tmp_path / "version").mkdir()
    lock = locks.fcntl.flock

    def remove_meanwhile(descriptor, kind):
        os.rename(tmp_path / "version", tmp_path / "other")
        lock(descriptor, kind)

    monkeypatch.setattr(locks.fcntl, "flock", remove_meanwhile)
    with pytest.raises(FileNotFoundError, match="removed just now"), atomic.hold(tmp_path / "version"):
        pass
