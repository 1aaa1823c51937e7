"""One writer at a time in a workspace, whatever machine or shell it was started from. Imports nothing heavy.

The lock is the kernel's, on a file of the workspace: it ends with the last process that holds it, however that ends, so
what a dead one leaves in the file is no lock.
"""

import contextlib
import os
import socket
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from pipeline.runs.workspace import Workspace
from shiftvit.errors import ConfigError, UserError
from shiftvit.files import locks

_PATIENCE = 10.0  # seconds for a run that was killed a moment ago, whose processes are about to end
_PAUSE = 0.1


@dataclass(frozen=True)
class Hold:
    """A workspace that is held."""

    descriptor: int  # child processes that inherit it hold the workspace as long as they live

    def sign(self, who: str) -> None:
        """Tells others who it is; on a full disk, nobody."""
        started = time.strftime("%Y-%m-%d %H:%M:%S")
        text = f"{who} (process {os.getpid()} on {socket.gethostname()}, since {started})"
        with contextlib.suppress(OSError):
            os.ftruncate(self.descriptor, 0)
            os.pwrite(self.descriptor, text.encode(), 0)


@contextlib.contextmanager
def writing(workspace: Workspace, wait: bool, tell: Callable[[str], None] = print) -> Iterator[Hold]:
    """Holds the workspace, which is made if it is not there.

    Args:
        workspace: where is to be written.
        wait: whether to wait for another writer to end, instead of giving up.
        tell: is told whom it waits for.

    Raises:
        UserError: when another one holds it, and `wait` is off; the sentence says who.
        ConfigError: when the workspace cannot be written.
    """
    try:
        workspace.root.mkdir(parents=True, exist_ok=True)
        file = os.open(workspace.lock, os.O_RDWR | os.O_CREAT, 0o666)
    except OSError as error:
        raise ConfigError(f"--workspace {workspace.root}: cannot write there ({error.strerror})") from error
    try:
        if not _lock_soon(file):
            holder = workspace.lock.read_text(errors="replace").strip() or "another process"
            if not wait:
                raise UserError(
                    f"--workspace {workspace.root}: {holder} is at work there; --wait waits until it is done, and in "
                    "another workspace nobody has to"
                )
            tell(f"Waiting for {holder}, at work in {workspace.root}.")
            locks.acquire(file)
        yield Hold(file)
    finally:
        os.close(file)


def _lock_soon(file: int) -> bool:
    deadline = time.monotonic() + _PATIENCE
    while not locks.acquire(file, wait=False):
        if time.monotonic() >= deadline:
            return False
        time.sleep(_PAUSE)
    return True
