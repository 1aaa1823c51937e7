"""The kernel's advisory locks (flock) on files and folders. Standard library only.

A lock belongs to an open file, and processes that inherit the descriptor share it. The kernel releases it when the last
of them closes the descriptor or dies, even by SIGKILL, so a lock is never stale.
"""

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path
from typing import IO


def acquire(file: int | IO, shared: bool = False, wait: bool = True) -> bool:
    """Locks an open file or folder until its descriptor is closed.

    Args:
        file: a descriptor, or a file object.
        shared: lets other shared locks exist at the same time; otherwise the lock is exclusive.
        wait: waits for conflicting locks to be released.

    Returns:
        False if `wait` is off and another process holds a conflicting lock.
    """
    operation = fcntl.LOCK_SH if shared else fcntl.LOCK_EX
    try:
        fcntl.flock(file, operation if wait else operation | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


@contextlib.contextmanager
def hold(folder: Path, shared: bool = False) -> Iterator[int]:
    """Waits for the lock of a folder and holds it for the block; yields the folder's descriptor.

    Raises:
        FileNotFoundError: if there is no such folder.
    """
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        acquire(descriptor, shared)
        yield descriptor
    finally:
        os.close(descriptor)
