"""Streams the files of an untrusted `.tar.gz`: nothing is extracted, and memory, disk and time stay bounded."""

import gzip
import io
import tarfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath

from shiftvit.errors import DataError

# What tarfile raises for a damaged header, beside its own errors, because it trusts the header's fields.
_DAMAGED = (ValueError, LookupError, OverflowError, RecursionError)
_MAX_HEADER_BYTES = 2048  # of a member's extended header, which tarfile searches in quadratic time
_CHUNK = 1 << 20

Admit = Callable[[PurePosixPath, int], bool]  # takes a file's path and size in bytes; returns whether to read it


def read_files(path: Path, admit: Admit, max_other_bytes: int) -> Iterator[tuple[PurePosixPath, bytes]]:
    """Yields path and content of each admitted file in the archive.

    Args:
        path: the archive.
        admit: decides which files to read; it must check their sizes.
        max_other_bytes: most bytes that the archive may unpack to, beside the admitted files.

    Raises:
        DataError: the archive is truncated, damaged or not a `.tar.gz`; it unpacks to too much; or it has a member that
            is a link, a device, or outside the archive's folder.
    """
    try:
        with gzip.open(path) as unzipped:
            stream = _BoundedStream(unzipped, path, max_other_bytes)
            with tarfile.open(fileobj=stream, mode="r|", tarinfo=_Member) as archive:
                for member in _plain_files(archive, path):
                    name = PurePosixPath(member.name)
                    if admit(name, member.size):
                        stream.allow(member.size)
                        file = archive.extractfile(member)
                        assert file is not None, "the member is a file"
                        yield name, file.read()
            while stream.read(_CHUNK):  # gzip verifies its checksum at the end
                pass
    except EOFError as error:
        raise DataError(f"{path}: truncated archive; get a complete copy") from error
    except (gzip.BadGzipFile, zlib.error) as error:
        raise DataError(f"{path}: not a gzip archive, or a damaged one ({error}); expected a .tar.gz") from error
    except (tarfile.TarError, *_DAMAGED) as error:
        raise DataError(f"{path}: not a tar archive, or a damaged one ({error})") from error


def unpacked_size(path: Path) -> int:
    """Returns the bytes that a gzip file claims to unpack to, modulo 4 GiB; any number if the file is damaged."""
    with path.open("rb") as file:
        file.seek(-min(4, path.stat().st_size), io.SEEK_END)
        return int.from_bytes(file.read(), "little")


class _Member(tarfile.TarInfo):
    """A member of an archive; rejects an extended header that is longer than an honest one."""

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> "_Member":
        member = super().frombuf(buf, encoding, errors)
        if member.type not in (*tarfile.REGULAR_TYPES, tarfile.DIRTYPE) and member.size > _MAX_HEADER_BYTES:
            raise tarfile.ReadError(f"a header of {member.size:,} bytes")
        return member


def _plain_files(archive: tarfile.TarFile, path: Path) -> Iterator[tarfile.TarInfo]:
    """Yields each file; raises DataError at a member that an honest data archive does not have."""
    for member in archive:
        name = PurePosixPath(member.name)
        if name.is_absolute() or ".." in name.parts:
            raise DataError(f"{path}: the member {member.name!r} points outside the archive; refused")
        if not (member.isfile() or member.isdir()):
            raise DataError(f"{path}: the member {member.name!r} is a link or a device; refused")
        if member.isfile():
            yield member


class _BoundedStream(io.RawIOBase):
    """A stream that raises DataError after a limit, so that a small archive cannot unpack to terabytes."""

    def __init__(self, stream: io.BufferedIOBase, path: Path, limit: int):
        self._stream, self._path, self._left = stream, path, limit

    def allow(self, size: int) -> None:
        """Raises the limit by `size` bytes."""
        self._left += size

    def read(self, size: int = -1) -> bytes:
        content = self._stream.read(self._left + 1 if size < 0 else min(size, self._left + 1))
        self._left -= len(content)
        if self._left < 0:
            raise DataError(f"{self._path}: unpacks to far more than its images take; pack only the data set's files")
        return content
