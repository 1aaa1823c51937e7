import os
import subprocess
import sys
from contextlib import contextmanager

import pytest

from shiftvit.files import locks


@contextmanager
def another_descriptor(folder):
    descriptor = os.open(folder, os.O_RDONLY)
    yield descriptor
    os.close(descriptor)


def test_shared_locks_coexist_and_exclude_an_exclusive_one(tmp_path):
    with another_descriptor(tmp_path) as other:
        with locks.hold(tmp_path, shared=True), locks.hold(tmp_path, shared=True):
            assert not locks.acquire(other, wait=False)
        assert locks.acquire(other, wait=False)


def test_a_child_that_inherits_the_descriptor_keeps_the_lock_until_it_ends(tmp_path):
    with locks.hold(tmp_path) as descriptor:
        child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE, pass_fds=[descriptor])
    with another_descriptor(tmp_path) as other:
        assert not locks.acquire(other, shared=True, wait=False)
        child.communicate(b"\n")
        assert locks.acquire(other, shared=True, wait=False)


def test_a_missing_folder_cannot_be_locked(tmp_path):
    with pytest.raises(FileNotFoundError), locks.hold(tmp_path / "missing"):
        pass
