"""CIFAR-10 as its authors publish it: two formats, each as an archive or as a folder, read and checked batch by batch.

Nothing is extracted: an archive's members are streamed, the known ones only, each within the size it must have.
"""

import gzip
import hashlib
import io
import tarfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from components.example_gen import records
from pipeline.sources import pickles
from shiftvit.errors import DataError
from shiftvit.features import CLASS_NAMES, IMAGE_BYTES, NUM_CLASSES

BATCHES = ("data_batch_1", "data_batch_2", "data_batch_3", "data_batch_4", "data_batch_5", "test_batch")
BATCH_RECORDS = 10_000

# sha256 of the archives, as tensorflow-datasets and Keras have them.
PUBLISHED = (
    "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd",  # cifar-10-binary.tar.gz
    "6d958be074577803d12ecdefd02955f39262c83c16fe9348329d7fe0b5c001ce",
)  # cifar-10-python.tar.gz

# What a damaged header makes tarfile raise, beside its own errors: it believes what is written there.
_BROKEN = (ValueError, LookupError, OverflowError, RecursionError)

Sink = Callable[[int, bytes], None]  # takes the number of a batch, in the order of BATCHES, and its records

_SMALL = 64 * 1024  # bytes
_PICKLED_EXTRA = 2 * 1024 * 1024  # bytes of labels and file names that a pickled batch has beside its pixels
_BESIDE_BATCHES = 1 << 20  # bytes that an archive may hold of other things: its members' headers, a readme
_LONGEST_HEADER = 2048  # bytes of a member's extended header, which tarfile searches in quadratic time
_LONGEST_NAME = 100  # characters of a class name
_CHUNK = 1 << 20


@dataclass(frozen=True)
class Format:
    """One of the two published formats: what its files are called and how they are read."""

    root: str  # folder inside the archive
    suffix: str  # of a batch file
    meta: str  # the file of class names

    @property
    def files(self) -> list[str]:
        """Names of the batch files, in the order of BATCHES."""
        return [name + self.suffix for name in BATCHES]


BINARY = Format("cifar-10-batches-bin", ".bin", "batches.meta.txt")
PYTHON = Format("cifar-10-batches-py", "", "batches.meta")
FORMATS = (BINARY, PYTHON)


class _Collector:
    """Takes the files of one source in any order, checks each, and knows in the end whether all were there."""

    def __init__(self, form: Format, source: Path, batch_records: int, sink: Sink):
        self._form, self._source, self._records, self._sink = form, source, batch_records, sink
        self._seen: set[str] = set()
        self._names = list(CLASS_NAMES)

    def admit(self, name: str, size: int) -> bool:
        """Says whether file `name` is wanted; raises DataError when it is and its size, in bytes, cannot be right."""
        if name not in (*self._form.files, self._form.meta):
            if name.startswith(("data_batch", "test_batch")):
                raise DataError(f"{self._source}: {name!r} is none of the {len(BATCHES)} batches of CIFAR-10")
            return False
        if name in self._seen:
            raise DataError(f"{self._source}: {name} is there twice")
        smallest, largest, needed = self._sizes(name)
        if not smallest <= size <= largest:
            raise DataError(f"{self._source}: {name} has {size:,} bytes where {needed}; get a whole copy")
        self._seen.add(name)
        return True

    def take(self, name: str, content: bytes) -> None:
        """Passes on the batch, or keeps the class names, of an admitted file."""
        file = f"{self._source}: {name}"
        if name == self._form.meta:
            self._names = _class_names(self._form, content, file)
        else:
            self._sink(self._form.files.index(name), _batch(self._form, content, self._records, file))

    def finish(self) -> tuple[str, ...]:
        """Returns the class names; raises DataError when a batch is missing."""
        missing = [name for name in self._form.files if name not in self._seen]
        if missing:
            raise DataError(f"{self._source}: {', '.join(missing)} missing; CIFAR-10 has {len(BATCHES)} batch files")
        return tuple(self._names)

    def _sizes(self, name: str) -> tuple[int, int, str]:
        """Returns the fewest and the most bytes that a file can have, and why."""
        if name == self._form.meta:
            return 0, _SMALL, f"the names of {NUM_CLASSES} classes take less than {_SMALL:,}"
        if self._form is BINARY:
            size = self._records * records.RECORD_BYTES
            return size, size, f"{self._records:,} records take {size:,}"
        pixels = self._records * IMAGE_BYTES
        return pixels, pixels + _PICKLED_EXTRA, f"{self._records:,} images take {pixels:,} and some thousands"


def _largest_batch(batch_records: int) -> int:
    return batch_records * records.RECORD_BYTES + _PICKLED_EXTRA


def _batch(form: Format, content: bytes, batch_records: int, file: str) -> bytes:
    if form is BINARY:
        records.check(content, file)
        return content
    return records.pack_planes(*pickles.batch(content, batch_records, file))


def _class_names(form: Format, content: bytes, file: str) -> list[str]:
    names = content.decode("utf-8", "replace").split() if form is BINARY else pickles.class_names(content, file)
    if len(set(names)) != NUM_CLASSES or len(names) != NUM_CLASSES:
        raise DataError(f"{file}: expected the names of {NUM_CLASSES} classes, found {len(names)}")
    for name in names:
        if not (name.isprintable() and 0 < len(name) <= _LONGEST_NAME):
            raise DataError(f"{file}: {name[:_LONGEST_NAME]!r} is no name of a class that can be shown")
    return names


def find_folder(path: Path) -> tuple[Path, Format]:
    """Returns where in `path`, itself or a folder in it, the batches lie, and in which format; binary goes first.

    Raises:
        DataError: when there are none.
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
    """Sends each batch of the folder to `sink` and returns the class names.

    Raises:
        DataError: when a batch is missing, has another size, or holds a wrong label.
    """
    collector = _Collector(form, folder, batch_records, sink)
    for file in _admitted(collector, folder):
        collector.take(file.name, file.read_bytes())
    return collector.finish()


def _admitted(collector: _Collector, folder: Path) -> Iterator[Path]:
    for file in sorted(folder.iterdir()):
        if file.is_file() and collector.admit(file.name, file.stat().st_size):
            yield file


def folder_checksum(folder: Path, form: Format, batch_records: int) -> str:
    """Returns a sha256, in hex, over the sorted names of the batch and meta files and the sha256 of each.

    Raises:
        DataError: when one of them has a size that cannot be right; it may be a file that takes forever to read.
    """
    digest = hashlib.sha256()
    for file in _admitted(_Collector(form, folder, batch_records, lambda number, block: None), folder):
        digest.update(f"{file.name} {file_checksum(file)}\n".encode())
    return digest.hexdigest()


def archive_checksum(path: Path, batch_records: int) -> str:
    """Returns the sha256, in hex, of an archive.

    Raises:
        DataError: when it cannot be one: it is no plain file, which may never end, or larger than CIFAR-10 unpacked.
    """
    if not path.is_file():
        raise DataError(f"{path}: not a file; expected a CIFAR-10 archive or folder")
    size, largest = path.stat().st_size, _BESIDE_BATCHES + len(BATCHES) * _largest_batch(batch_records)
    if size > largest:
        raise DataError(f"{path}: not CIFAR-10; {size:,} bytes, where even unpacked it takes less than {largest:,}")
    return file_checksum(path)


def file_checksum(path: Path) -> str:
    """Returns the sha256, in hex, of a file."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def read_archive(path: Path, batch_records: int, sink: Sink) -> tuple[str, ...]:
    """Sends each batch of the `.tar.gz` to `sink` and returns the class names.

    Raises:
        DataError: when it is no gzip, is truncated or corrupt, holds something else, a member that is no plain file
            inside the archive's folder, or a batch that is missing, has another size, or holds a wrong label.
    """
    try:
        with gzip.open(path) as unzipped:
            stream = _Bounded(unzipped, path, _BESIDE_BATCHES)
            with tarfile.open(fileobj=stream, mode="r|", tarinfo=_Member) as archive:
                class_names = _read_members(archive, path, batch_records, stream, sink)
            while stream.read(_CHUNK):  # the checksum that tells of damage stands at the very end
                pass
            return class_names
    except EOFError as error:
        raise DataError(f"{path}: truncated archive; get a whole copy") from error
    except (gzip.BadGzipFile, zlib.error) as error:
        raise DataError(
            f"{path}: not a gzip archive, or a damaged one ({error}); expected cifar-10-binary.tar.gz or "
            "cifar-10-python.tar.gz"
        ) from error
    except (tarfile.TarError, *_BROKEN) as error:
        raise DataError(f"{path}: not a tar archive, or a damaged one ({error})") from error


class _Member(tarfile.TarInfo):
    """A member of an archive, refused where its extended header is longer than an honest one."""

    @classmethod
    def frombuf(cls, buf, encoding, errors):
        """Takes the block of the member's header."""
        member = super().frombuf(buf, encoding, errors)
        if member.type not in (*tarfile.REGULAR_TYPES, tarfile.DIRTYPE) and member.size > _LONGEST_HEADER:
            raise tarfile.ReadError(f"a header of {member.size:,} bytes")
        return member


def _read_members(
    archive: tarfile.TarFile, path: Path, batch_records: int, stream: "_Bounded", sink: Sink
) -> tuple[str, ...]:
    collector = None
    for folder, member in _plain_files(archive, path):
        form = next((form for form in FORMATS if form.root == folder), None)
        if form is None:
            continue
        if collector is None:
            collector = _Collector(form, path, batch_records, sink)
        name = PurePosixPath(member.name).name
        if collector.admit(name, member.size):
            stream.allow(member.size)
            collector.take(name, archive.extractfile(member).read())
    if collector is None:
        raise DataError(f"{path}: not CIFAR-10; its files lie in none of {', '.join(f.root for f in FORMATS)}")
    return collector.finish()


def _plain_files(archive: tarfile.TarFile, path: Path) -> Iterator[tuple[str, tarfile.TarInfo]]:
    """Yields each file and its folder; raises DataError at a member that no honest archive of data has."""
    for member in archive:
        name = PurePosixPath(member.name)
        if name.is_absolute() or ".." in name.parts:
            raise DataError(f"{path}: the member {member.name!r} points outside the archive; refused")
        if not (member.isfile() or member.isdir()):
            raise DataError(f"{path}: the member {member.name!r} is a link or a device; refused")
        if member.isfile():
            yield str(name.parent), member


class _Bounded(io.RawIOBase):
    """A stream that ends in DataError after so many bytes, lest a small archive unpack to terabytes."""

    def __init__(self, stream: io.BufferedIOBase, path: Path, limit: int):
        self._stream, self._path, self._left = stream, path, limit

    def allow(self, size: int) -> None:
        """Lets so many more bytes pass."""
        self._left += size

    def read(self, size: int = -1) -> bytes:
        content = self._stream.read(self._left + 1 if size < 0 else min(size, self._left + 1))
        self._left -= len(content)
        if self._left < 0:
            raise DataError(f"{self._path}: not CIFAR-10; it unpacks to far more than CIFAR-10 takes")
        return content
