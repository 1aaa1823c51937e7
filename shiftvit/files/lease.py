"""Leases of folders on volumes that processes of several hosts share, where the kernel's locks may not reach.

A folder's leases are numbered files in it, and the newest is in force. Its holder touches it every few seconds. Who
finds it free, or its holder dead, creates the next number, which the file system lets only one process do. A holder is
dead if its process is gone from the same process table, or if its file is untouched for a minute on the clock of the
observer; so the clocks of the hosts need not agree. Only a holder removes older numbers, so the newest never decreases.

Assumes that files are created exclusively, and that who opens a file sees its latest change: POSIX file systems and NFS
do both; object stores mounted as folders may not. Standard library only.
"""

import contextlib
import json
import logging
import os
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from shiftvit.errors import UserError

HEARTBEAT_SECONDS = 10.0
EXPIRY_SECONDS = 60.0
POLL_SECONDS = 1.0

_FOLDER = "lease"
_FREE = "free"
_LOGGER = logging.getLogger(__name__)


class Lease:
    """A lease that this process holds."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._ended = threading.Event()
        threading.Thread(target=self._beat, daemon=True).start()

    def check(self) -> None:
        """Raises UserError if another process took the lease, as it may if this one was suspended for a minute."""
        if _newest(self._file.parent) != self._file:
            raise UserError(
                f"{self._file.parent.parent}: another process took this folder over, because this one gave no sign of "
                f"life for {EXPIRY_SECONDS:.0f} seconds; run again to go on from what is saved there"
            )

    def release(self) -> None:
        """Lets the next process have the folder; does nothing if the folder is gone."""
        self._ended.set()
        with contextlib.suppress(FileNotFoundError):
            descriptor = os.open(self._file, os.O_WRONLY | os.O_TRUNC)
            with open(descriptor, "w", encoding="utf-8") as file:
                file.write(_FREE)

    def _beat(self) -> None:
        while not self._ended.wait(HEARTBEAT_SECONDS):
            with contextlib.suppress(OSError):  # a volume that does not answer for a while, or a lease that was lost
                os.utime(self._file)


@contextlib.contextmanager
def hold(folder: Path) -> Iterator[Lease]:
    """Waits its turn and holds the folder, which is created if needed, during the block.

    The log says who holds it meanwhile.
    """
    lease = _acquire(folder)
    try:
        yield lease
    finally:
        lease.release()


def try_hold(folder: Path) -> Lease | None:
    """Returns the lease of the folder, or None if it cannot be had at once."""
    newest = _newest(folder / _FOLDER)
    return _create_next(folder / _FOLDER, newest) if newest is None or _is_free(newest) else None


def _acquire(folder: Path) -> Lease:
    place = folder / _FOLDER
    seen: tuple[Path | None, int] = (None, 0)  # the newest lease and the time of its last touch
    since = time.monotonic()
    while True:
        newest = _newest(place)
        touched = _touched(newest)
        if (newest, touched) != seen:
            if newest and newest != seen[0] and not _is_free(newest):
                _LOGGER.warning("waiting for %s, which is in use by %s", folder, _describe(newest))
            seen, since = (newest, touched), time.monotonic()
        if newest is None or _is_free(newest) or time.monotonic() - since > EXPIRY_SECONDS:
            lease = _create_next(place, newest)
            if lease:
                return lease
        else:
            time.sleep(POLL_SECONDS)


def _create_next(place: Path, newest: Path | None) -> Lease | None:
    """Creates the lease after `newest`; returns None if another process was faster."""
    file = place / f"{int(newest.name) + 1 if newest else 1:08}"
    try:
        place.mkdir(parents=True, exist_ok=True)
        with file.open("x", encoding="utf-8") as opened:
            opened.write(json.dumps(_owner()))
    except (FileExistsError, FileNotFoundError):
        return None
    if _newest(place) != file:
        file.unlink(missing_ok=True)  # `newest` was looked up long ago
        return None
    for older in place.iterdir():
        if older.name < file.name:
            older.unlink(missing_ok=True)
    return Lease(file)


def _newest(place: Path) -> Path | None:
    with contextlib.suppress(FileNotFoundError):
        return max(place.iterdir(), default=None)
    return None


def _touched(lease: Path | None) -> int:
    """Returns the time of the last touch; the file is opened because NFS then asks the server."""
    with contextlib.suppress(FileNotFoundError):
        if lease:
            with lease.open("rb") as file:
                return os.fstat(file.fileno()).st_mtime_ns
    return 0


def _is_free(lease: Path) -> bool:
    """Returns True if the lease was given back, or its holder is provably dead."""
    try:
        text = lease.read_text(encoding="utf-8")
        if text == _FREE:
            return True
        owner = json.loads(text)
    except (FileNotFoundError, ValueError):
        return False  # removed, or being written
    own = _owner()
    if not own["table"] or owner["table"] != own["table"]:
        return False
    return _started(owner["pid"]) != owner["started"]


def _describe(lease: Path) -> str:
    try:
        owner = json.loads(lease.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return "another process"
    return f"process {owner['pid']} on {owner['host']} since {owner['since']}"


def _owner() -> dict:
    return {
        "host": socket.gethostname(),
        "pid": os.getpid(),
        "table": _process_table(),
        "started": _started(os.getpid()),
        "since": time.strftime("%Y-%m-%d %H:%M:%S %Z"),
    }


def _process_table() -> str:
    """Returns a name of the table that this process's id belongs to: the boot and the namespace. "" if unknown."""
    with contextlib.suppress(OSError):
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        return f"{boot}/{os.stat('/proc/self/ns/pid').st_ino}"
    return ""


def _started(pid: int) -> str:
    """Returns when the process started, in ticks since boot; "" if there is none."""
    with contextlib.suppress(OSError):
        state, *fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
        return "" if state == "Z" else fields[18]
    return ""
