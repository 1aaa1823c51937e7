"""Prepares a data source of any kind for ExampleGen, in one common form.

That form is a folder `<workspace>/sources/<kind>-<checksum>` with a file of binary records for each split, and
`source.json`, the source's identity. It is written atomically, and only once.
"""

import functools
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from components.example_gen import records
from components.example_gen.source_identity import SourceIdentity
from pipeline.config.settings import PipelineConfig
from pipeline.config.source import FORMS, SHAPES, TFDS, parse_source
from pipeline.sources import cifar, shapes, tfds_source
from shiftvit import progress
from shiftvit.errors import DataError
from shiftvit.features import EVAL, SPLITS, TEST, TRAIN
from shiftvit.files import atomic, disk

IDENTITY_FILE = "source.json"

_Write = Callable[[str, int, bytes], None]  # takes a split, the index of the first record in it, and the records
_Read = Callable[[_Write], tuple[str, ...]]  # writes every record, in any order; returns the class names


@dataclass(frozen=True)
class Source:
    """A prepared source, ready for ingestion."""

    identity: SourceIdentity
    folder: Path  # holds `<split>.bin` for each split


@dataclass(frozen=True)
class _Origin:
    """A source that is identified but not yet read."""

    kind: str
    sha256: str
    published: bool
    counts: dict[str, int]
    read: _Read
    scratch_bytes: int = 0  # on the disk, per image, needed only while reading


def prepare(config: PipelineConfig, batch_records: int = cifar.BATCH_RECORDS) -> Source:
    """Prepares the source in `config` for ExampleGen, unless the workspace already has it. Leaves nothing on errors.

    Args:
        config: only `source`, `workspace` and, for the embedded set, `shapes` matter.
        batch_records: number of records in each official batch.

    Raises:
        DataError: the source does not exist, cannot be downloaded, or is invalid.
        DiskFullError: the workspace has no room for it.
    """
    try:
        origin = _identify(config, batch_records)
        folder = Path(config.workspace) / "sources" / f"{origin.kind}-{origin.sha256[:16]}"
        if not folder.exists():
            _write(folder, origin)
    except OSError as error:
        raise DataError(
            f"{error.filename or config.source}: cannot be read or written ({error.strerror or error})"
        ) from error
    return _load(folder)


def _identify(config: PipelineConfig, batch_records: int) -> _Origin:
    kind, path = parse_source(config.source)
    if kind == SHAPES:
        counts = {split: getattr(config.shapes, split) for split in SPLITS}
        draw = functools.partial(_draw, counts, config.shapes.seed)
        return _Origin(SHAPES, shapes.fingerprint(config.shapes), False, counts, draw)
    counts = {TRAIN: 4 * batch_records, EVAL: batch_records, TEST: batch_records}
    if kind == TFDS:
        checksum = tfds_source.checksum(path, batch_records)
        read = functools.partial(tfds_source.read, path, batch_records, Path(config.workspace))
        return _Origin(TFDS, checksum, True, counts, _in_batches(read, batch_records), tfds_source.SCRATCH_BYTES)
    assert path is not None, "a PATH has a path"
    if path.is_dir():
        folder, form = cifar.find_folder(path)
        read = functools.partial(cifar.read_folder, folder, form, batch_records)
        checksum = cifar.folder_checksum(folder, form, batch_records)
        return _Origin("folder", checksum, False, counts, _in_batches(read, batch_records))
    if not path.exists():
        raise DataError(f"{path}: no such file or folder; --data takes {FORMS}")
    checksum = cifar.archive_checksum(path, batch_records)
    read = functools.partial(cifar.read_archive, path, batch_records)
    return _Origin("archive", checksum, checksum in cifar.PUBLISHED, counts, _in_batches(read, batch_records))


def _in_batches(read: Callable[[cifar.Sink], tuple[str, ...]], batch_records: int) -> _Read:
    """Returns a reader of splits, from a reader of official batches: four train, one is eval, and one is test."""
    places = [(TRAIN, index * batch_records) for index in range(4)] + [(EVAL, 0), (TEST, 0)]
    return lambda write: read(lambda index, block: write(*places[index], block))


def _draw(counts: dict[str, int], seed: int, write: _Write) -> tuple[str, ...]:
    for split, count in counts.items():
        write(split, 0, records.pack(*shapes.draw(count, seed, split)))
    return shapes.CLASS_NAMES


def _write(folder: Path, origin: _Origin) -> None:
    """Writes the folder of a source atomically."""
    needed = sum(origin.counts.values()) * (records.RECORD_BYTES + origin.scratch_bytes)
    try:
        with disk.ensure_space(folder.parent, needed, "the source"), atomic.folder(folder) as unfinished:
            class_names = origin.read(_Writer(unfinished, origin))
            identity = SourceIdentity(
                origin.kind, origin.sha256, origin.published, origin.counts, class_names, records.IMAGE_SIZE
            )
            (unfinished / IDENTITY_FILE).write_text(identity.to_json() + "\n")
    except OSError:
        if not folder.is_dir():  # if it is, another run has just written the same
            raise


class _Writer:
    """Writes blocks of records to the files of the splits, in any order."""

    def __init__(self, folder: Path, origin: _Origin):
        self._folder, self._origin = folder, origin
        self._done = 0

    def __call__(self, split: str, start: int, block: bytes) -> None:
        path = Path(records.split_file(self._folder, split))
        path.touch()
        with path.open("r+b") as file:
            file.seek(start * records.RECORD_BYTES)
            file.write(block)
        self._done += len(block) // records.RECORD_BYTES
        progress.report(f"reading {self._origin.kind}", self._done, sum(self._origin.counts.values()), "image")


def _load(folder: Path) -> Source:
    """Returns the source in `folder`; raises DataError if it was damaged since it was written."""
    try:
        identity = SourceIdentity.from_json((folder / IDENTITY_FILE).read_text())
        sizes = {split: os.path.getsize(records.split_file(folder, split)) for split in identity.counts}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(f"{folder}: damaged since it was written; remove it and run again ({error})") from error
    if sizes != {split: count * records.RECORD_BYTES for split, count in identity.counts.items()}:
        raise DataError(f"{folder}: damaged since it was written; remove it and run again (a split has the wrong size)")
    return Source(identity, folder)
