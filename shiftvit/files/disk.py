"""Full disks and folders that cannot be written: checked before work begins where possible, explained in a sentence."""

import contextlib
import errno
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from shiftvit.errors import ConfigError, DiskFullError

_FULL = (errno.ENOSPC, errno.EDQUOT)
_FULL_MESSAGES = ("database or disk is full", *map(os.strerror, _FULL))  # the first one is SQLite's
_REMOTE = "://"  # in the address of an object store, which does not fill up


@contextlib.contextmanager
def ensure_space(folder: str | os.PathLike, needed: int, purpose: str) -> Iterator[None]:
    """Enters the block only if there is enough free space, and reports a disk that fills up inside it.

    Args:
        folder: where the block writes; it does not have to exist yet.
        needed: bytes.
        purpose: what is written, for the message.

    Raises:
        DiskFullError: instead of any error that a full disk causes, whichever library raises it.
    """
    too_small = f"{_megabytes(needed)} are needed for {purpose}"
    free = _free_bytes(folder)
    if free is not None and free < needed:
        raise full_error(folder, too_small)
    try:
        yield
    except Exception as error:
        if is_full(error):
            raise full_error(folder, too_small) from error
        raise


@contextlib.contextmanager
def explain_write_errors(place: str) -> Iterator[None]:
    """Raises ConfigError for an OSError in the block.

    Args:
        place: where the block writes, as the user named it: a path, or an option with its value.
    """
    try:
        yield
    except OSError as error:
        raise ConfigError(f"{place}: cannot write there ({error.strerror})") from error


def is_full(error: BaseException) -> bool:
    """Returns True if a full disk caused the error. Libraries wrap such errors, and some keep only the message."""
    return any(
        (isinstance(cause, OSError) and cause.errno in _FULL) or any(text in str(cause) for text in _FULL_MESSAGES)
        for cause in exception_chain(error)
    )


def exception_chain(error: BaseException | None) -> Iterator[BaseException]:
    """Yields the error, then its cause or context, and so on."""
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def folder_size(folder: Path) -> int:
    """Returns the total size of all files in the folder, in bytes."""
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())


def fullest(*folders: str | os.PathLike) -> str | os.PathLike:
    """Returns the folder with the least free space."""
    return min(folders, key=lambda folder: _free_bytes(folder) or 0)


def full_error(folder: str | os.PathLike, reason: str) -> DiskFullError:
    """Returns the error for a folder on a full disk; `reason` says what does not fit."""
    return DiskFullError(
        f"{os.fspath(folder)}: the disk is full: {reason}, and {_megabytes(_free_bytes(folder) or 0)} are free; free "
        "up space, then run the same command again to resume"
    )


def _free_bytes(folder: str | os.PathLike) -> int | None:
    """Returns the free space where the folder is or will be, or None for an object store."""
    if _REMOTE in os.fspath(folder):
        return None
    place = Path(folder).absolute()
    while not place.exists():
        place = place.parent
    return shutil.disk_usage(place).free


def _megabytes(count: int) -> str:
    return f"{count / 1e6:,.1f} MB"
