"""The saved states of trainings and searches, which outlive them until their results are known to be safe.

A state is a folder in a root, or in a folder of one. Whoever completed the work marks its state as finished; from then
on it serves only to repeat the work without doing it again. Standard library only.
"""

import contextlib
import shutil
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from shiftvit.files import disk, lease

KEEP_DAYS = 7.0  # of a finished state

_MARK = ".shiftvit-finished"  # a name of nobody else's, since its folder is removed in the end


@dataclass(frozen=True)
class FinishedState:
    """A state whose work is complete."""

    folder: Path
    seconds: float  # since the work, or its last repetition, was completed

    @property
    def bytes(self) -> int:
        """The size on disk."""
        return disk.folder_size(self.folder)


def mark_finished(folder: Path) -> None:
    """Marks the work as complete, or as repeated just now."""
    (folder / _MARK).touch()


def reopen(folder: Path) -> None:
    """Takes back `mark_finished`: the work goes on."""
    (folder / _MARK).unlink(missing_ok=True)


def finished(root: Path) -> Iterator[FinishedState]:
    """Yields the finished states below a root, such as a workspace's folder of trainings."""
    for pattern in (f"*/{_MARK}", f"*/*/{_MARK}"):
        for mark in root.glob(pattern):
            with contextlib.suppress(FileNotFoundError):
                yield FinishedState(mark.parent, max(0.0, time.time() - mark.stat().st_mtime))


def remove(folder: Path) -> bool:
    """Removes a state; returns False, with nothing removed, if a process holds it."""
    held = lease.try_hold(folder)
    if held is None:
        return False
    try:
        removed = folder.rename(folder.with_name(f".{folder.name}.{uuid.uuid4().hex[:8]}.removed"))
    finally:
        held.release()
    shutil.rmtree(removed, ignore_errors=True)
    return True


def prune(root: Path) -> None:
    """Removes the finished states that are older than KEEP_DAYS; one that cannot be removed stays."""
    for state in list(finished(root)):
        if state.seconds > KEEP_DAYS * 86400:
            with contextlib.suppress(OSError):
                remove(state.folder)
