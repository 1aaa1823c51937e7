"""CIFAR-10, CIFAR-100 and own data in their layouts, each as an archive or as a folder.

Files are read and checked one by one: only known files, each of a size that it can have.
"""

import functools
import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from components.example_gen import records
from pipeline.sources import archives, cifar_published
from pipeline.sources.cifar_layouts import COARSE, FINE, TEST_BATCH, Layout, layouts
from pipeline.sources.cifar_reader import Reader, Sink
from shiftvit.errors import DataError

MAX_ARCHIVE_BYTES = 16 << 30  # of all batches in an archive, and of the archive
_MAX_OTHER_BYTES = 1 << 20  # that an archive may hold beside the batches: headers of members, a readme
_CHUNK = 1 << 20


@dataclass(frozen=True)
class Found:
    """A data set that is identified but not yet read."""

    kind: str  # archive or folder
    sha256: str
    published: bool
    images: int  # about; in all splits
    read: Callable[[Sink], tuple[str, ...]]  # sends each batch to the sink; returns the class names


def find(path: Path, labels: str) -> Found:
    """Identifies the data set in an existing archive or folder.

    Args:
        path: of the archive or folder.
        labels: those of CIFAR-100 to read, FINE or COARSE.

    Raises:
        DataError: there is none, or a file is missing or has a wrong size.
    """
    if path.is_dir():
        folder, layout = find_folder(path, labels)
        files = _files(folder, Reader(layout, folder, _ignore))  # raises before time is spent
        images = sum(file.stat().st_size for file in files) // records.RECORD_BYTES
        return Found("folder", _checksum(files), False, images, functools.partial(read_folder, folder, layout))
    checksum = archive_checksum(path)
    published, read = checksum in cifar_published.ARCHIVES, functools.partial(read_archive, path, labels)
    return Found("archive", checksum, published, _estimate_images(path), read)


def _estimate_images(archive: Path) -> int:
    """Returns about how many images an archive has, from the size it claims to unpack to, if that is plausible."""
    size, claimed = archive.stat().st_size, archives.unpacked_size(archive)
    return (claimed if size < claimed < 4 * size else size) // records.RECORD_BYTES


def is_folder(path: Path) -> bool:
    """Returns True if `path`, or a folder in it, holds files of CIFAR's layouts."""
    return any(True for _ in _folders(path, FINE))


def _folders(path: Path, labels: str) -> Iterator[tuple[Path, Layout]]:
    """Yields the folders of batches in a folder, or the folder itself, and their layouts."""
    for layout in layouts(labels):
        for folder in (path, path / layout.root):
            if any((folder / layout.file(number)).is_file() for number in (1, TEST_BATCH)):
                yield folder, layout


def find_folder(path: Path, labels: str) -> tuple[Path, Layout]:
    """Returns the folder of the batches, `path` or a folder in it, and their layout; prefers CIFAR-10 and binary ones.

    Raises:
        DataError: there are none.
    """
    for folder, layout in _folders(path, labels):
        return folder, layout
    roots = " or ".join(layout.root for layout in layouts(labels))
    raise DataError(
        f"{path}: {_none_of(labels)} in this folder; expected {_first_files(labels)} in it, or a folder {roots}"
    )


def read_folder(folder: Path, layout: Layout, sink: Sink) -> tuple[str, ...]:
    """Sends each batch in the folder to `sink`, and returns the class names.

    Raises:
        DataError: a file is missing or damaged, or has a wrong size or an invalid label.
    """
    reader = Reader(layout, folder, sink)
    for file in _files(folder, reader):
        reader.read(file.name, file.read_bytes())
    return reader.finish()


def _checksum(files: list[Path]) -> str:
    """Returns the SHA-256, in hex, of the names and SHA-256s of the files."""
    digest = hashlib.sha256()
    for file in files:
        digest.update(f"{file.name} {file_checksum(file)}\n".encode())
    return digest.hexdigest()


def _files(folder: Path, reader: Reader) -> list[Path]:
    """Returns the files to read, sorted by name; raises DataError if one is missing or has a wrong size."""
    files = [file for file in sorted(folder.iterdir()) if file.is_file()]
    admitted = [file for file in files if reader.admit(file.name, file.stat().st_size)]
    reader.check_complete()
    return admitted


def _ignore(number: int, block: bytes) -> None:
    pass


def archive_checksum(path: Path) -> str:
    """Returns the SHA-256, in hex, of an archive.

    Raises:
        DataError: it is not a regular file, which may never end, or is too large.
    """
    if not path.is_file():
        raise DataError(f"{path}: not a file; expected an archive or folder of CIFAR-10 or CIFAR-100")
    size = path.stat().st_size
    if size > MAX_ARCHIVE_BYTES:
        raise DataError(f"{path}: {size:,} bytes, but an archive may have {MAX_ARCHIVE_BYTES:,}; unpack it to a folder")
    return file_checksum(path)


def file_checksum(path: Path) -> str:
    """Returns the SHA-256, in hex, of a file."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def read_archive(path: Path, labels: str, sink: Sink) -> tuple[str, ...]:
    """Sends each batch in the archive to `sink`, and returns the class names.

    The first file of a known layout decides which layout and which folder are read.

    Raises:
        DataError: the archive is damaged or hostile or has no known layout; or a file is missing or damaged, or has a
            wrong size or an invalid label.
    """
    reader: Reader | None = None
    total, parent, other = 0, PurePosixPath(), "nothing"

    def admit(member: PurePosixPath, size: int) -> bool:
        nonlocal reader, total, parent, other
        if reader is None:
            layout = _layout_of(member.name, labels)
            if layout is None:
                other = repr(str(member))
                return False
            reader, parent = Reader(layout, path, sink), member.parent
        if member.parent != parent:
            return False
        admitted = reader.admit(member.name, size)
        total += size if admitted else 0
        if total > MAX_ARCHIVE_BYTES:
            raise DataError(f"{path}: unpacks to more than {MAX_ARCHIVE_BYTES:,} bytes; unpack it to a folder")
        return admitted

    try:
        for member, content in archives.read_files(path, admit, _MAX_OTHER_BYTES):
            assert reader is not None, "a file is read after it was admitted"
            reader.read(member.name, content)
    except archives.TooMuchError:
        if reader is not None:
            raise
    if reader is None:
        expected = f"expected {_first_files(labels)} in it, and found {other}"
        raise DataError(f"{path}: {_none_of(labels)} in this archive: {expected}; unpack other images to a folder")
    return reader.finish()


def _layout_of(name: str, labels: str) -> Layout | None:
    """Returns the layout that a file in an archive belongs to, whatever its folder is called, or None."""
    return next((layout for layout in layouts(labels) if layout.has(name)), None)


def _none_of(labels: str) -> str:
    return "no CIFAR-100 (data.cifar100_labels=coarse)" if labels == COARSE else "no CIFAR-10 or CIFAR-100"


def _first_files(labels: str) -> str:
    return " or ".join(layout.file(1) for layout in layouts(labels))
