"""One writer at a time in a workspace, whatever shell or container it was started from. Imports nothing heavy.

The lock is the kernel's, on a file of the workspace. It ends with the last process that holds it, however that process
ends; text that a dead process leaves in the file locks nothing.
"""

import contextlib
import os
import socket
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from pipeline.runs import relocation
from pipeline.runs.workspace import Workspace
from shiftvit.errors import UserError
from shiftvit.files import disk, locks

_GRACE = 10.0  # seconds for the processes of a run that was killed a moment ago to end
_RETRY = 0.1  # seconds between attempts


@dataclass(frozen=True)
class WorkspaceLock:
    """A lock that is held."""

    descriptor: int  # child processes that inherit it keep the workspace locked while they live

    def set_owner(self, owner: str) -> None:
        """Writes into the lock file who holds it, for the messages of others; ignores a full disk."""
        started = time.strftime("%Y-%m-%d %H:%M:%S")
        text = f"{owner} (process {os.getpid()} on {socket.gethostname()}, since {started})"
        with contextlib.suppress(OSError):
            os.ftruncate(self.descriptor, 0)
            os.pwrite(self.descriptor, text.encode(), 0)


@contextlib.contextmanager
def acquire(workspace: Workspace, wait: bool, notify: Callable[[str], None] = print) -> Iterator[WorkspaceLock]:
    """Locks the workspace for the duration of the block; creates it if it does not exist, and follows it if it moved.

    Args:
        workspace: to lock.
        wait: whether to wait for another writer to end instead of raising.
        notify: receives a sentence that names the other writer before waiting for it.

    Raises:
        UserError: when another writer holds the lock and `wait` is false.
        ConfigError: when the workspace cannot be written.
    """
    with disk.explain_write_errors(f"--workspace {workspace.root}"):
        workspace.root.mkdir(parents=True, exist_ok=True)
        file = os.open(workspace.lock, os.O_RDWR | os.O_CREAT, 0o666)
    try:
        if not _acquire_soon(file):
            owner = workspace.lock.read_text(encoding="utf-8", errors="backslashreplace").strip() or "another process"
            if not wait:
                raise UserError(
                    f"--workspace {workspace.root} is in use by {owner}; wait for it with --wait, "
                    "or use another workspace"
                )
            notify(f"Waiting for {owner} in {workspace.root}.")
            locks.acquire(file)
        relocation.follow(workspace)
        yield WorkspaceLock(file)
    finally:
        os.close(file)


def _acquire_soon(file: int) -> bool:
    deadline = time.monotonic() + _GRACE
    while not locks.acquire(file, wait=False):
        if time.monotonic() >= deadline:
            return False
        time.sleep(_RETRY)
    return True
