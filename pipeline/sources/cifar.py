"""CIFAR-10 as its authors publish it: in a binary and a Python format, each as an archive or as a folder.

Files are read and checked one by one: only known files, each of the size that it must have.
"""

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from components.example_gen import records
from pipeline.sources import archives, pickles
from shiftvit.errors import DataError

CLASS_NAMES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
BATCHES = ("data_batch_1", "data_batch_2", "data_batch_3", "data_batch_4", "data_batch_5", "test_batch")
BATCH_RECORDS = 10_000

# SHA-256 of the published archives, as in tensorflow-datasets and Keras.
PUBLISHED = (
    "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd",  # cifar-10-binary.tar.gz
    "6d958be074577803d12ecdefd02955f39262c83c16fe9348329d7fe0b5c001ce",  # cifar-10-python.tar.gz
)

Sink = Callable[[int, bytes], None]  # takes the index of a batch in BATCHES, and its records

_MAX_META_BYTES = 64 * 1024
_MAX_PICKLE_EXTRA_BYTES = 2 * 1024 * 1024  # of labels and file names in a pickled batch, beside its pixels
_MAX_OTHER_BYTES = 1 << 20  # that an archive may hold beside the batches: headers of members, a readme
_MAX_NAME_LENGTH = 100  # characters of a class name
_CHUNK = 1 << 20


@dataclass(frozen=True)
class Format:
    """One of the two published formats: the names of its files."""

    root: str  # folder inside the archive
    suffix: str  # of a batch file
    meta: str  # file of the class names

    @property
    def files(self) -> list[str]:
        """Names of the batch files, in the order of BATCHES."""
        return [name + self.suffix for name in BATCHES]


BINARY = Format("cifar-10-batches-bin", ".bin", "batches.meta.txt")
PYTHON = Format("cifar-10-batches-py", "", "batches.meta")
FORMATS = (BINARY, PYTHON)
EXPECTED = f"{BINARY.files[0]} or {PYTHON.files[0]} in it or in its folder {BINARY.root} or {PYTHON.root}"


class _Reader:
    """Reads the files of one source in any order, checks each, and finally checks that none is missing."""

    def __init__(self, form: Format, source: Path, batch_records: int, sink: Sink):
        self._form, self._source, self._records, self._sink = form, source, batch_records, sink
        self._seen: set[str] = set()
        self._class_names: tuple[str, ...] = CLASS_NAMES

    def admit(self, name: str, size: int) -> bool:
        """Returns whether to read the file.

        Raises:
            DataError: the file is an unknown batch or a duplicate, or its size, in bytes, is wrong.
        """
        if name not in (*self._form.files, self._form.meta):
            if name.startswith(("data_batch", "test_batch")):
                raise DataError(f"{self._source}: {name!r} is none of the {len(BATCHES)} batches of CIFAR-10")
            return False
        if name in self._seen:
            raise DataError(f"{self._source}: contains {name} twice")
        smallest, largest, expected = self._sizes(name)
        if not smallest <= size <= largest:
            raise DataError(f"{self._source}: {name} has {size:,} bytes, but {expected}; get a complete copy")
        self._seen.add(name)
        return True

    def read(self, name: str, content: bytes) -> None:
        """Sends the batch in an admitted file to the sink, or keeps the class names in it."""
        file = f"{self._source}: {name}"
        if name == self._form.meta:
            self._class_names = _class_names(self._form, content, file)
        else:
            self._sink(self._form.files.index(name), _batch(self._form, content, self._records, file))

    def finish(self) -> tuple[str, ...]:
        """Returns the class names; raises DataError if a batch is missing."""
        missing = [name for name in self._form.files if name not in self._seen]
        if missing:
            raise DataError(f"{self._source}: {', '.join(missing)} missing; CIFAR-10 has {len(BATCHES)} batch files")
        return self._class_names

    def _sizes(self, name: str) -> tuple[int, int, str]:
        """Returns the smallest and the largest valid size of a file in bytes, and a description of both."""
        if name == self._form.meta:
            return 0, _MAX_META_BYTES, f"the names of {len(CLASS_NAMES)} classes take less than {_MAX_META_BYTES:,}"
        if self._form is BINARY:
            size = self._records * records.RECORD_BYTES
            return size, size, f"{self._records:,} records take {size:,}"
        pixels = self._records * records.IMAGE_BYTES
        return pixels, pixels + _MAX_PICKLE_EXTRA_BYTES, f"{self._records:,} images take {pixels:,} and a few thousand"


def _batch(form: Format, content: bytes, batch_records: int, file: str) -> bytes:
    if form is BINARY:
        records.check(content, len(CLASS_NAMES), file)
        return content
    return records.pack_planes(*pickles.batch(content, batch_records, len(CLASS_NAMES), file))


def _class_names(form: Format, content: bytes, file: str) -> tuple[str, ...]:
    names = content.decode("utf-8", "replace").split() if form is BINARY else pickles.class_names(content, file)
    if not len(set(names)) == len(names) == len(CLASS_NAMES):
        raise DataError(f"{file}: expected the names of {len(CLASS_NAMES)} classes, found {len(set(names))}")
    for name in names:
        if not (name.isprintable() and 0 < len(name) <= _MAX_NAME_LENGTH):
            raise DataError(f"{file}: {name[:_MAX_NAME_LENGTH]!r} is not a valid class name")
    return tuple(names)


def is_folder(path: Path) -> bool:
    """Returns True if `path`, or a folder in it, holds CIFAR's files."""
    return any(
        (folder / name).is_file() for form in FORMATS for folder in (path, path / form.root) for name in form.files
    )


def find_folder(path: Path) -> tuple[Path, Format]:
    """Returns the folder of the batches, `path` or a folder in it, and their format; prefers the binary one.

    Raises:
        DataError: there are none.
    """
    for form in FORMATS:
        for folder in (path, path / form.root):
            if any((folder / name).is_file() for name in form.files):
                return folder, form
    raise DataError(
        f"{path}: no CIFAR-10 in this folder; expected {BINARY.files[0]} or {PYTHON.files[0]} in it, "
        f"or a folder {BINARY.root} or {PYTHON.root}"
    )


def read_folder(folder: Path, form: Format, batch_records: int, sink: Sink) -> tuple[str, ...]:
    """Sends each batch in the folder to `sink`, and returns the class names.

    Raises:
        DataError: a batch is missing, has the wrong size, or contains an invalid label.
    """
    reader = _Reader(form, folder, batch_records, sink)
    for file in _admitted(reader, folder):
        reader.read(file.name, file.read_bytes())
    return reader.finish()


def _admitted(reader: _Reader, folder: Path) -> Iterator[Path]:
    for file in sorted(folder.iterdir()):
        if file.is_file() and reader.admit(file.name, file.stat().st_size):
            yield file


def folder_checksum(folder: Path, form: Format, batch_records: int) -> str:
    """Returns the SHA-256, in hex, of the sorted names and SHA-256s of the batch and meta files.

    Raises:
        DataError: a file has the wrong size. This is checked first, as such a file may take forever to read.
    """
    digest = hashlib.sha256()
    for file in _admitted(_Reader(form, folder, batch_records, lambda index, block: None), folder):
        digest.update(f"{file.name} {file_checksum(file)}\n".encode())
    return digest.hexdigest()


def archive_checksum(path: Path, batch_records: int) -> str:
    """Returns the SHA-256, in hex, of an archive.

    Raises:
        DataError: it is not a regular file, which may never end, or is larger than CIFAR-10 unpacked.
    """
    if not path.is_file():
        raise DataError(f"{path}: not a file; expected a CIFAR-10 archive or folder")
    max_batch_bytes = batch_records * records.RECORD_BYTES + _MAX_PICKLE_EXTRA_BYTES
    size, largest = path.stat().st_size, _MAX_OTHER_BYTES + len(BATCHES) * max_batch_bytes
    if size > largest:
        raise DataError(f"{path}: not CIFAR-10: {size:,} bytes, while CIFAR-10 takes less than {largest:,} unpacked")
    return file_checksum(path)


def file_checksum(path: Path) -> str:
    """Returns the SHA-256, in hex, of a file."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def read_archive(path: Path, batch_records: int, sink: Sink) -> tuple[str, ...]:
    """Sends each batch in the `.tar.gz` to `sink`, and returns the class names.

    Raises:
        DataError: the archive is damaged or hostile, is not CIFAR-10, or a batch is missing, has the wrong size, or
            contains an invalid label.
    """
    reader: _Reader | None = None

    def admit(member: PurePosixPath, size: int) -> bool:
        nonlocal reader
        form = next((form for form in FORMATS if form.root == str(member.parent)), None)
        if form is None:
            return False
        reader = reader or _Reader(form, path, batch_records, sink)
        return reader.admit(member.name, size)

    for member, content in archives.read_files(path, admit, _MAX_OTHER_BYTES):
        assert reader is not None, "a file is read after it was admitted"
        reader.read(member.name, content)
    if reader is None:
        raise DataError(f"{path}: not CIFAR-10: no file in {' or '.join(form.root for form in FORMATS)}")
    return reader.finish()
