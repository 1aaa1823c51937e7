"""Disks that fill: what has no room is not begun, and what ran out of it is told as that. Standard library only."""

import contextlib
import errno
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from shiftvit.errors import DiskFullError

_FULL = (errno.ENOSPC, errno.EDQUOT)
_SQLITE = "database or disk is full"
_REMOTE = "://"  # of object stores, which do not fill


@contextlib.contextmanager
def room(folder: str | os.PathLike, needed: int, what: str) -> Iterator[None]:
    """Begins the block only where there is room for it, and tells when that was taken meanwhile.

    Args:
        folder: where the block writes; it need not be there yet.
        needed: bytes.
        what: is written, for the message.

    Raises:
        DiskFullError: in place of whatever error a full disk makes, from whichever library.
    """
    free = _free(folder)
    if free is not None and free < needed:
        raise _explain(folder, needed, what)
    try:
        yield
    except Exception as error:
        if ran_out(error):
            raise _explain(folder, needed, what) from error
        raise


def ran_out(error: BaseException) -> bool:
    """Says whether a full disk is behind the error: libraries wrap that, and some keep its words alone."""
    told = [_SQLITE, *map(os.strerror, _FULL)]
    return any(
        (isinstance(cause, OSError) and cause.errno in _FULL) or any(words in str(cause) for words in told)
        for cause in causes(error)
    )


def causes(error: BaseException | None) -> Iterator[BaseException]:
    """Yields the error, what it was raised for, or while handling, and so on."""
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def size_of(folder: Path) -> int:
    """Returns how many bytes the files in the folder have."""
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())


def stopped(folder: str | os.PathLike, what: str) -> DiskFullError:
    """Returns the error for work that ran out of room, where nobody knows of how much."""
    return _full(folder, f"{what} could not write on")


def _explain(folder: str | os.PathLike, needed: int, what: str) -> DiskFullError:
    return _full(folder, f"{_megabytes(needed)} are needed for {what}")


def _full(folder: str | os.PathLike, what: str) -> DiskFullError:
    return DiskFullError(
        f"{os.fspath(folder)}: the disk is full: {what}, and {_megabytes(_free(folder) or 0)} are free; make room, and "
        "the same command goes on where it stopped"
    )


def _free(folder: str | os.PathLike) -> int | None:
    if _REMOTE in os.fspath(folder):
        return None
    place = Path(folder).absolute()
    while not place.exists():
        place = place.parent
    return shutil.disk_usage(place).free


def _megabytes(count: int) -> str:
    return f"{count / 1e6:,.1f} MB"
