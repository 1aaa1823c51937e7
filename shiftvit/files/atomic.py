"""Atomic writes: a file or folder appears complete or not at all, even if its writer is killed.

Work in progress lies beside its destination as `.<name>.<eight hex digits>.partial`, which readers ignore. Its writer
holds the kernel's lock on it until it ends, for whatever reason. So an unlocked one was left by a killed writer, and
the next writer of the same name removes it. Standard library only.
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

_PARTIAL = re.compile(r"\.(.+)\.[0-9a-f]{8}\.partial")


def write_file(path: Path, content: str | bytes) -> None:
    """Writes the file and syncs it to disk. Readers see the old content or the new, nothing between.

    Raises:
        OSError: if it cannot be written; the old content is untouched and nothing is left beside it.
    """
    with _work_in_progress(path, _create_file) as (partial, descriptor):
        with open(descriptor, "wb", closefd=False) as file:
            file.write(content.encode() if isinstance(content, str) else content)
        os.fsync(descriptor)
        partial.replace(path)


@contextlib.contextmanager
def folder(target: Path) -> Iterator[Path]:
    """Yields a folder to fill; it becomes `target` if the block succeeds, and is removed if it raises.

    Raises:
        OSError: if it cannot be created, or `target` is by now a folder with content, which stays untouched.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    with _work_in_progress(target, _create_folder) as (partial, _):
        yield partial
        for path in (*partial.rglob("*"), partial):
            _sync(path)
        partial.rename(target)


@contextlib.contextmanager
def scratch(place: Path) -> Iterator[Path]:
    """Yields a temporary folder beside `place`; if this process is killed, the next `scratch(place)` removes it."""
    place.parent.mkdir(parents=True, exist_ok=True)
    with _work_in_progress(place, _create_folder) as (partial, _):
        yield partial


@contextlib.contextmanager
def hold(path: Path) -> Iterator[None]:
    """Keeps `remove` from removing the folder during the block; any number of processes may hold it at once.

    Raises:
        FileNotFoundError: if it does not exist, or was removed just now.
    """
    with locks.hold(path, shared=True) as descriptor:
        if not _is_same(path, descriptor):
            raise FileNotFoundError(errno.ENOENT, "was removed just now", str(path))
        yield


def remove(path: Path) -> bool:
    """Removes the file or folder; to readers it disappears at once.

    Returns:
        False, with nothing removed, if a process holds it.

    Raises:
        OSError: if it does not exist or cannot be removed.
    """
    descriptor = os.open(path, os.O_RDONLY if path.is_dir() else os.O_RDWR)
    try:
        if not locks.acquire(descriptor, wait=False):
            return False
        if _is_same(path, descriptor):
            _delete(path.rename(_partial_sibling(path)))
        return True
    finally:
        os.close(descriptor)


def link(original: Path, path: Path) -> None:
    """Replaces the file `path` with another name of `original`, whose content is the same.

    Raises:
        OSError: if it cannot be, as on a file system without links; `path` stays as it is.
    """
    partial = _partial_sibling(path)
    os.link(original, partial)
    partial.replace(path)


def leftovers(root: Path) -> Iterator[Path]:
    """Yields what killed processes left anywhere below `root`; nothing that a process still writes."""
    for folder, folders, files in os.walk(root):
        partials = {name for name in (*folders, *files) if _PARTIAL.fullmatch(name)}
        folders[:] = (name for name in folders if name not in partials)
        yield from (path for name in sorted(partials) if _is_unlocked(path := Path(folder, name)))


def _is_unlocked(path: Path) -> bool:
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except FileNotFoundError:
        return False
    try:
        return locks.acquire(descriptor, wait=False)
    finally:
        os.close(descriptor)


def remove_leftovers(parent: Path, name: str | None = None) -> None:
    """Removes what killed processes left in `parent`: work in progress on `name`, or on any name."""
    for path in list(parent.iterdir()):
        partial = _PARTIAL.fullmatch(path.name)
        if partial and name in (None, partial[1]):
            with contextlib.suppress(OSError):  # another process may be removing it, and it is in nobody's way
                remove(path)


@contextlib.contextmanager
def _work_in_progress(target: Path, create: Callable[[Path], int]) -> Iterator[tuple[Path, int]]:
    remove_leftovers(target.parent, target.name)
    path, descriptor = _create_locked(target, create)
    try:
        yield path, descriptor
        _sync(target.parent)
    finally:
        _delete(path)
        os.close(descriptor)


def _create_locked(target: Path, create: Callable[[Path], int]) -> tuple[Path, int]:
    while True:
        path = _partial_sibling(target)
        descriptor = create(path)
        locks.acquire(descriptor)
        if _is_same(path, descriptor):
            return path, descriptor
        os.close(descriptor)  # another process took it for a leftover before it was locked


def _create_file(path: Path) -> int:
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o666)


def _create_folder(path: Path) -> int:
    while True:
        path.mkdir()
        with contextlib.suppress(FileNotFoundError):  # another process took it for a leftover
            return os.open(path, os.O_RDONLY | os.O_DIRECTORY)


def _partial_sibling(path: Path) -> Path:
    """Returns an unused name for work in progress on `path`, which may be such a name itself."""
    partial = _PARTIAL.fullmatch(path.name)
    return path.with_name(f".{partial[1] if partial else path.name}.{uuid.uuid4().hex[:8]}.partial")


def _is_same(path: Path, descriptor: int) -> bool:
    """Returns True if the path still leads to the open file."""
    try:
        return os.path.samestat(path.stat(), os.fstat(descriptor))
    except FileNotFoundError:
        return False


def _delete(path: Path) -> None:
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
