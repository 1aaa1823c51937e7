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
from pipeline.sources import cifar, cifar_splits, shapes, tfds_source
from pipeline.sources.cifar_layouts import FINE
from pipeline.sources.cifar_reader import Sink
from shiftvit import progress
from shiftvit.errors import DataError
from shiftvit.features import SPLITS
from shiftvit.files import atomic, disk

IDENTITY_FILE = "source.json"

_Write = Callable[[str, int, bytes], None]  # takes a split, the index of the first record in it, and the records
_Read = Callable[["_Writer"], tuple[str, ...]]  # writes every record, in any order; returns the class names


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
    images: int  # in all splits; of an archive, about
    read: _Read
    scratch_bytes: int = 0  # on the disk, per image, needed only while reading
    labels: str = ""  # as in SourceIdentity


def prepare(config: PipelineConfig) -> Source:
    """Prepares the source in `config` for ExampleGen, unless the workspace already has it. Leaves nothing on errors.

    Args:
        config: only `source`, `workspace`, `data.cifar100_labels` and, for the embedded set, `shapes` matter.

    Raises:
        DataError: the source does not exist, cannot be downloaded, or is invalid.
        DiskFullError: the workspace has no room for it.
    """
    try:
        origin = _identify(config)
        name = "-".join(filter(None, (origin.kind, origin.sha256[:16], origin.labels)))
        folder = Path(config.workspace) / "sources" / name
        if not folder.exists():
            _write(folder, origin)
    except OSError as error:
        raise DataError(
            f"{error.filename or config.source}: cannot be read or written ({error.strerror or error})"
        ) from error
    return _load(folder)


def _identify(config: PipelineConfig) -> _Origin:
    kind, path = parse_source(config.source)
    if kind == SHAPES:
        counts = {split: getattr(config.shapes, split) for split in SPLITS}
        draw = functools.partial(_draw, counts, config.shapes.seed)
        return _Origin(SHAPES, shapes.fingerprint(config.shapes), False, sum(counts.values()), draw)
    if kind == TFDS:
        checksum = tfds_source.checksum(path)
        read = _in_batches(functools.partial(tfds_source.read, path, Path(config.workspace)))
        return _Origin(TFDS, checksum, True, tfds_source.IMAGES, read, tfds_source.SCRATCH_BYTES)
    assert path is not None, "a PATH has a path"
    if not path.exists():
        raise DataError(f"{path}: no such file or folder; --data takes {FORMS}")
    labels = config.data.cifar100_labels
    found = cifar.find(path, labels)
    read, marked = _in_batches(found.read), "" if labels == FINE else labels
    return _Origin(found.kind, found.sha256, found.published, found.images, read, labels=marked)


def _in_batches(read: Callable[[Sink], tuple[str, ...]]) -> _Read:
    """Returns a reader of splits, from a reader of the batches of CIFAR."""
    return lambda write: cifar_splits.write(write.folder, read, write)


def _draw(counts: dict[str, int], seed: int, write: _Write) -> tuple[str, ...]:
    for split, count in counts.items():
        write(split, 0, records.pack(*shapes.draw(count, seed, split)))
    return shapes.CLASS_NAMES


def _write(folder: Path, origin: _Origin) -> None:
    """Writes the folder of a source atomically."""
    needed = origin.images * (records.RECORD_BYTES + origin.scratch_bytes)
    try:
        with disk.ensure_space(folder.parent, needed, "the source"), atomic.folder(folder) as unfinished:
            class_names = origin.read(_Writer(unfinished, origin))
            sizes = {split: os.path.getsize(records.split_file(unfinished, split)) for split in SPLITS}
            counts = {split: size // records.RECORD_BYTES for split, size in sizes.items()}
            progress.report(f"reading {origin.kind}", sum(counts.values()), sum(counts.values()), "image")
            identity = SourceIdentity(
                *(origin.kind, origin.sha256, origin.published, counts, class_names, records.IMAGE_SIZE, origin.labels)
            )
            (unfinished / IDENTITY_FILE).write_text(identity.to_json() + "\n")
    except OSError:
        if not folder.is_dir():  # if it is, another run has just written the same
            raise


class _Writer:
    """Writes blocks of records to the files of the splits, in any order."""

    def __init__(self, folder: Path, origin: _Origin):
        self.folder, self._origin = folder, origin
        self._done = 0

    def __call__(self, split: str, start: int, block: bytes) -> None:
        path = Path(records.split_file(self.folder, split))
        path.touch()
        with path.open("r+b") as file:
            file.seek(start * records.RECORD_BYTES)
            file.write(block)
        self._done += len(block) // records.RECORD_BYTES
        progress.report(f"reading {self._origin.kind}", self._done, max(self._done, self._origin.images), "image")


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
