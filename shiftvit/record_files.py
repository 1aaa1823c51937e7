"""Random access to the records of TFRecord files.

A file is a sequence of records, and a record is its length (uint64), the checksum of the length (uint32), the data and
the checksum of the data (https://www.tensorflow.org/tutorials/load_data/tfrecord#tfrecords_format_details). TensorFlow
reads such files in sequence only.
"""

import array
import contextlib
import functools
import glob
import io
import os
import re
import struct
from collections.abc import Iterator, Sequence

import google_crc32c
import numpy as np
import tensorflow as tf

from shiftvit import features
from shiftvit.errors import DataError

_HEADER = struct.Struct("<QI")  # the length and its checksum
_CHECKSUM = struct.Struct("<I")
_OPEN_FILES = 256  # kept open for the next records; a process may usually open 1024
_WRAPPED = re.compile(rf"{DataError.__module__}\.{DataError.__name__}: (.*)")


def matching(patterns: Sequence[str]) -> list[str]:
    """Returns the files that match the patterns, in the order in which their records are numbered.

    Only the last part of a pattern is one; the folder has the name as it is.
    """
    return sorted(path for pattern in patterns for path in _matching(pattern))


def _matching(pattern: str) -> list[str]:
    folder, name = os.path.split(pattern)
    return tf.io.gfile.glob(pattern) if "://" in pattern else glob.glob(os.path.join(glob.escape(folder), name))


class RecordFiles:
    """The records of some uncompressed TFRecord files, numbered from 0 in the order of the files.

    The files must be local. It holds the position of each record, eight bytes, and no data.

    Args:
        patterns: of the files. Only the lengths of their records are read.

    Raises:
        DataError: if the length of a record is damaged, a file ends within a record, or a file is not local.
    """

    def __init__(self, patterns: Sequence[str]) -> None:
        self._files = matching(patterns)
        starts = [_starts(path) for path in self._files]
        self._starts = np.concatenate([np.empty(0, np.int64), *starts])
        self._ends = np.cumsum([len(part) - 1 for part in starts])  # of each file: the number after its last record's
        self._open = functools.lru_cache(_OPEN_FILES)(_open)

    def __len__(self) -> int:
        return int(self._ends[-1]) if self._files else 0

    def read(self, numbers: np.ndarray) -> np.ndarray:
        """Returns the data of some records as an array of bytes objects, (N,). Several threads may read at once.

        Args:
            numbers: of the records, int64 (N,), in any order.

        Raises:
            DataError: if a record is damaged or its file cannot be read.
        """
        files = np.searchsorted(self._ends, numbers, side="right")
        starts, ends = (self._starts[numbers + files + after].tolist() for after in (0, 1))
        records = np.empty(len(numbers), object)
        records[:] = [self._read(*place) for place in zip(files.tolist(), starts, ends, strict=True)]
        return records

    def check_images(self, size: int) -> None:
        """Raises DataError at the first record that does not hold an image of `size` pixels a side."""
        for number in range(len(self)):
            [record] = self.read(np.array([number]))
            found = features.record_error(record, size)
            if found:
                file = int(np.searchsorted(self._ends, number, side="right"))
                place = f"{self._files[file]}: the record at byte {self._starts[number + file]}"
                raise DataError(f"{place} holds {found}; ingest the data again")

    def _read(self, file: int, start: int, end: int) -> bytes:
        path = self._files[file]
        opened = self._open(path)  # this reference keeps it open if the cache drops it meanwhile
        record = os.pread(opened.fileno(), end - start, start)
        length = _data_bytes(record, path, start)
        if _HEADER.size + length + _CHECKSUM.size != len(record):
            raise _cut(path, start)
        data = record[_HEADER.size : -_CHECKSUM.size]
        if _CHECKSUM.unpack_from(record, len(record) - _CHECKSUM.size)[0] != _checksum(data):
            raise _damaged(path, start)
        return data


@contextlib.contextmanager
def explain_errors(patterns: Sequence[str], image_size: int) -> Iterator[None]:
    """Raises DataError for a damaged record, or an image that cannot be decoded, that TensorFlow found in the block.

    TensorFlow keeps only the message of a DataError in `RecordFiles.read`, and its own error names no file.

    Args:
        patterns: of all files that the block reads.
        image_size: pixels on each side of their images.
    """
    try:
        yield
    except tf.errors.OpError as error:
        wrapped = _WRAPPED.search(error.message)
        if wrapped:
            raise DataError(wrapped[1]) from error
        records = RecordFiles(patterns)
        if isinstance(error, tf.errors.DataLossError):
            for number in range(len(records)):
                records.read(np.array([number]))
        if isinstance(error, tf.errors.InvalidArgumentError):
            records.check_images(image_size)
        raise


def _starts(path: str) -> np.ndarray:
    """Returns the byte position at which each record of a file starts, and the size of the file, int64 (N + 1,)."""
    starts, position, known, length = array.array("q"), 0, b"", 0
    with _open(path) as file:
        size, number = os.path.getsize(path), file.fileno()
        while position < size:
            starts.append(position)
            header = os.pread(number, _HEADER.size, position)
            if header != known:  # most records have the length of the one before
                known, length = header, _data_bytes(header, path, position)
            position += _HEADER.size + length + _CHECKSUM.size
    if position > size:
        raise _cut(path, starts[-1])
    starts.append(size)
    return np.array(starts)


def _open(path: str) -> io.FileIO:
    if "://" in path:
        raise DataError(f"{path}: training reads records in random order, from local files; copy them to this machine")
    try:
        return open(path, "rb", buffering=0)
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror})") from error


def _data_bytes(record: bytes, path: str, position: int) -> int:
    """Returns the length that the header of a record states."""
    if len(record) < _HEADER.size:
        raise _cut(path, position)
    length, checksum = _HEADER.unpack_from(record)
    if _checksum(record[:8]) != checksum:
        raise _damaged(path, position)
    return length


def _checksum(data: bytes) -> int:
    """Returns the checksum as the format has it: a CRC-32C, rotated by 15 bits, plus a constant."""
    crc = google_crc32c.value(data)
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF


def _damaged(path: str, position: int) -> DataError:
    return DataError(f"{path}: the record at byte {position} is damaged: its checksum is wrong; ingest the data again")


def _cut(path: str, position: int) -> DataError:
    return DataError(f"{path}: cut inside the record at byte {position}; ingest the data again")
