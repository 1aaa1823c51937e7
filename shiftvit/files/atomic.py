"""Files and folders that others read: each appears whole or not at all, whatever dies. Standard library only.

What is being made lies beside its place under a hidden name, `.<name>.<eight hex digits>.partial`, at which no reader
looks, and its maker holds the kernel's lock on it. That lock ends with the maker, however it ends: so what a killed one
left is known from what is being made, and the next maker of the same name removes it.
"""

import contextlib
import errno
import os
import re
import shutil
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

from shiftvit.files import locks

_UNFINISHED = re.compile(r"\.(.+)\.[0-9a-f]{8}\.partial")


def write_file(path: Path, content: str | bytes) -> None:
    """Writes the file, on the disk by the time this returns: a reader finds the old content or the new one.

    Raises:
        OSError: when it cannot be written; the old content is there still, and nothing beside it.
    """
    with _unfinished(path, _open_new_file) as (unfinished, descriptor):
        with open(descriptor, "wb", closefd=False) as file:
            file.write(content.encode() if isinstance(content, str) else content)
        os.fsync(descriptor)
        unfinished.replace(path)


@contextlib.contextmanager
def folder(target: Path) -> Iterator[Path]:
    """Gives a folder to fill, which becomes `target` when the block ends well, and is removed when it does not.

    Raises:
        OSError: when it cannot be made, or `target` has come to hold something: then that stays, and nothing beside it.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    with _unfinished(target, _open_new_folder) as (unfinished, _):
        yield unfinished
        for path in (*unfinished.rglob("*"), unfinished):
            _sync(path)
        unfinished.rename(target)


@contextlib.contextmanager
def scratch(place: Path) -> Iterator[Path]:
    """Gives a folder beside `place` that is removed in the end: by the next one of that name, if this one is killed."""
    place.parent.mkdir(parents=True, exist_ok=True)
    with _unfinished(place, _open_new_folder) as (unfinished, _):
        yield unfinished


@contextlib.contextmanager
def hold(path: Path) -> Iterator[None]:
    """Keeps `remove` from removing the folder, for as long as the block or its process lives; many may hold it at once.

    Raises:
        FileNotFoundError: when it is not there, or was removed just now.
    """
    with locks.hold(path, shared=True) as descriptor:
        if not _is_at(path, descriptor):
            raise FileNotFoundError(errno.ENOENT, "was removed just now", str(path))
        yield


def remove(path: Path) -> bool:
    """Removes the file or folder at once, as readers see it; says whether it did, which it does not while one holds it.

    Raises:
        OSError: when it is not there or cannot be removed.
    """
    descriptor = os.open(path, os.O_RDONLY if path.is_dir() else os.O_RDWR)
    try:
        if not locks.acquire(descriptor, wait=False):
            return False
        if _is_at(path, descriptor):
            _remove_hidden(path.rename(_hidden_sibling(path)))
        return True
    finally:
        os.close(descriptor)


def remove_left(parent: Path, name: str | None = None) -> None:
    """Removes from the folder `parent` what killed makers and removers left there, of that name or of all."""
    for path in list(parent.iterdir()):
        unfinished = _UNFINISHED.fullmatch(path.name)
        if unfinished and name in (None, unfinished[1]):
            with contextlib.suppress(OSError):  # another one removes it, or may: what is to be made is not in its way
                remove(path)


@contextlib.contextmanager
def _unfinished(target: Path, make: Callable[[Path], int]) -> Iterator[tuple[Path, int]]:
    remove_left(target.parent, target.name)
    path, descriptor = _begin(target, make)
    try:
        yield path, descriptor
        _sync(target.parent)
    finally:
        _remove_hidden(path)
        os.close(descriptor)


def _begin(target: Path, make: Callable[[Path], int]) -> tuple[Path, int]:
    while True:
        path = _hidden_sibling(target)
        descriptor = make(path)
        locks.acquire(descriptor)
        if _is_at(path, descriptor):
            return path, descriptor
        os.close(descriptor)  # before it was locked, it was taken for a dead one's


def _open_new_file(path: Path) -> int:
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o666)


def _open_new_folder(path: Path) -> int:
    while True:
        path.mkdir()
        with contextlib.suppress(FileNotFoundError):  # taken for a dead one's, at once
            return os.open(path, os.O_RDONLY | os.O_DIRECTORY)


def _hidden_sibling(path: Path) -> Path:
    """Returns another name of what is unfinished, or a first one for what is not."""
    unfinished = _UNFINISHED.fullmatch(path.name)
    return path.with_name(f".{unfinished[1] if unfinished else path.name}.{uuid.uuid4().hex[:8]}.partial")


def _is_at(path: Path, descriptor: int) -> bool:
    try:
        return os.path.samestat(path.stat(), os.fstat(descriptor))
    except FileNotFoundError:
        return False


def _remove_hidden(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
