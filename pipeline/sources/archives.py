"""Streams the files of an untrusted tar archive, compressed or not.

Nothing is extracted, and memory, disk and time stay bounded.
"""

import bz2
import gzip
import io
import lzma
import tarfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath
from typing import Any

from shiftvit.errors import DataError

# What tarfile raises for a damaged header, beside its own errors, because it trusts the header's fields.
_DAMAGED = (ValueError, LookupError, OverflowError, RecursionError)
_MAX_HEADER_BYTES = 4096  # of a member, with its extended headers, which tarfile searches in quadratic time
_CHUNK = 1 << 20
_XZ_MEMORY = 256 << 20  # bytes to decompress with; `xz -9` needs 65 MiB, and a hostile file may ask for 4 GiB
_GZIP, _BZIP2, _XZ = b"\x1f\x8b", b"BZh", b"\xfd7zXZ\0"  # first bytes
_NOT_READ = {b"PK": "zip", b"7z\xbc\xaf": "7-Zip", b"Rar!": "RAR", b"\x28\xb5\x2f\xfd": "zstd"}

Admit = Callable[[PurePosixPath, int], bool]  # takes a file's path and size in bytes; returns whether to read it


class TooMuchError(DataError):
    """An archive that unpacks to more than it may."""


def read_files(path: Path, admit: Admit, max_other_bytes: int) -> Iterator[tuple[PurePosixPath, bytes]]:
    """Yields path and content of each admitted file in the archive.

    Args:
        path: the archive.
        admit: decides which files to read; it must check their sizes.
        max_other_bytes: most bytes that the archive may unpack to, beside the admitted files.

    Raises:
        TooMuchError: it unpacks to too much.
        DataError: the archive is truncated, damaged or not a tar; or it has a member that is a link, a device, or
            outside the archive's folder, or whose headers are longer than honest ones.
    """
    try:
        with path.open("rb") as file:
            stream = _BoundedStream(_decompressed(file, path), path, max_other_bytes)
            with tarfile.open(fileobj=stream, mode="r:") as archive:
                for member in _plain_files(archive, path, stream):
                    name = PurePosixPath(member.name)
                    if admit(name, member.size):
                        stream.allow(member.size)
                        content = archive.extractfile(member)
                        assert content is not None, "the member is a file"
                        yield name, content.read()
            while stream.skip(_CHUNK):  # a compressed file has its checksum at the end
                pass
    except EOFError as error:
        raise DataError(f"{path}: truncated archive; get a complete copy") from error
    except (gzip.BadGzipFile, zlib.error, _DamagedError) as error:
        raise DataError(f"{path}: a damaged archive ({error}); get a complete copy") from error
    except (tarfile.TarError, *_DAMAGED) as error:
        raise DataError(f"{path}: not a tar archive, or a damaged one ({error})") from error


def is_compressed(path: Path) -> bool:
    """Returns True if the file's first bytes are those of an archive's compression, whether it is read or not."""
    with path.open("rb") as file:
        return file.read(len(_XZ)).startswith((_GZIP, _BZIP2, _XZ, *_NOT_READ))


def unpacked_size(path: Path) -> int:
    """Returns the bytes that a gzip file claims to unpack to, modulo 4 GiB; 0 for any other file."""
    with path.open("rb") as file:
        if file.read(len(_GZIP)) != _GZIP:
            return 0
        file.seek(-min(4, path.stat().st_size), io.SEEK_END)
        return int.from_bytes(file.read(), "little")


def _decompressed(file: io.BufferedReader, path: Path) -> io.BufferedIOBase:
    """Returns the tar in an open file, whichever way it is compressed; its first bytes say so, not its name.

    Raises:
        DataError: it is no archive of a kind that is read.
    """
    start = file.peek(6)
    if start.startswith(_GZIP):
        return gzip.GzipFile(fileobj=file)
    if start.startswith(_BZIP2):
        return io.BufferedReader(_Decompressed(file, bz2.BZ2Decompressor))
    if start.startswith(_XZ):
        return io.BufferedReader(_Decompressed(file, lambda: lzma.LZMADecompressor(memlimit=_XZ_MEMORY)))
    for kind_start, kind in _NOT_READ.items():
        if start.startswith(kind_start):
            raise DataError(f"{path}: compressed by {kind}, which is not read; pack the files as .tar.gz, or unpack it")
    return file


class _DamagedError(Exception):
    """Compressed bytes that make no sense. What bz2 raises for them is an OSError, like that of a failing disk."""


class _Decompressed(io.RawIOBase):
    """What a `.bz2` or `.xz` file contains; the file may have several streams, one after the other."""

    def __init__(self, file: io.BufferedReader, make: Callable[[], bz2.BZ2Decompressor | lzma.LZMADecompressor]):
        self._file, self._make = file, make
        self._decompressor = make()

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        content = b""
        while not content:
            compressed = b""
            if self._decompressor.eof:
                compressed = self._decompressor.unused_data or self._file.read(_CHUNK)
                if not compressed:
                    return 0
                self._decompressor = self._make()
            elif self._decompressor.needs_input:
                compressed = self._file.read(_CHUNK)
                if not compressed:
                    raise EOFError
            try:
                content = self._decompressor.decompress(compressed, len(buffer))
            except (OSError, lzma.LZMAError) as error:
                raise _DamagedError(str(error)) from error
        buffer[: len(content)] = content
        return len(content)


def _plain_files(archive: tarfile.TarFile, path: Path, stream: "_BoundedStream") -> Iterator[tarfile.TarInfo]:
    """Yields each file; raises DataError at a member that an honest data archive does not have."""
    for member in archive:
        stream.end_header()
        name = PurePosixPath(member.name)
        if name.is_absolute() or ".." in name.parts:
            raise DataError(f"{path}: the member {member.name!r} points outside the archive; refused")
        if not (member.isfile() or member.isdir()):
            raise DataError(f"{path}: the member {member.name!r} is a link or a device; refused")
        if member.isfile():
            yield member


class _BoundedStream(io.RawIOBase):
    """What tarfile reads an archive from, only forward; raises DataError at a limit.

    One limit is on all bytes, so that a small archive cannot unpack to terabytes. The other is on what tarfile reads,
    rather than seeks past, before it returns a member, so that no header costs much memory or time. Counting at the
    file object needs no method of `tarfile.TarInfo`: which ones read a header differs between versions of Python.
    """

    def __init__(self, stream: io.BufferedIOBase, path: Path, limit: int):
        self._stream, self._path = stream, path
        self._position, self._left, self._header_left = 0, limit, _MAX_HEADER_BYTES

    def allow(self, size: int) -> None:
        """Raises both limits by `size` bytes, to read a file's content."""
        self._left += size
        self._header_left += size

    def end_header(self) -> None:
        """Begins to count the bytes of the next member's headers."""
        self._header_left = _MAX_HEADER_BYTES

    def tell(self) -> int:
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        if whence != io.SEEK_SET or offset < self._position:
            raise tarfile.ReadError("a member that begins before the end of the last")
        while self._position < offset and self.skip(min(_CHUNK, offset - self._position)):
            pass
        return self._position

    def skip(self, size: int) -> int:
        """Reads and forgets up to `size` bytes; returns how many, 0 at the end."""
        return len(self._unpack(size))

    def read(self, size: int = -1) -> bytes:
        longest = self._header_left + 1
        content = self._unpack(longest if size < 0 else min(size, longest))
        self._header_left -= len(content)
        if self._header_left < 0:
            raise DataError(f"{self._path}: a member with more than {_MAX_HEADER_BYTES:,} bytes of headers; refused")
        return content

    def _unpack(self, size: int) -> bytes:
        content = self._stream.read(min(size, self._left + 1))
        self._position += len(content)
        self._left -= len(content)
        if self._left < 0:
            raise TooMuchError(f"{self._path}: unpacks to far more than the data set's files; pack only these")
        return content
