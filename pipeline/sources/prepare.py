"""Where the pictures come from. Whatever the source, they end in one form, which ExampleGen reads.

That form is a folder `<workspace>/sources/<kind>-<checksum>` with one file of binary records for each split and
`source.json`, the source's identity. It appears whole or not at all, and is made once.
"""

import functools
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

_Write = Callable[[str, int, bytes], None]  # takes a split, the place of the first record in it, and the records


@dataclass(frozen=True)
class Source:
    """A source that is ready to be ingested."""

    kind: str  # shapes, tfds, archive or folder
    location: str  # as the user gave it
    sha256: str  # of the archive; of a folder: over its files; of shapes: over all that decides them
    published: bool  # whether that is the checksum published with the official archive; never so for a folder
    counts: dict[str, int]  # images of each split
    class_names: tuple[str, ...]
    folder: Path  # holds `<split>.bin` for each split

    @property
    def identity(self) -> SourceIdentity:
        """What ML Metadata records of it: everything but paths."""
        return SourceIdentity(self.kind, self.sha256, self.published, self.counts, self.class_names)


@dataclass(frozen=True)
class _Origin:
    """A source that is identified but not read."""

    kind: str
    sha256: str
    published: bool
    counts: dict[str, int]
    read: Callable[[_Write], tuple[str, ...]]  # writes every record, in any order; returns the class names
    scratch_bytes: int = 0  # that reading takes on the disk meanwhile, for each image


def prepare(config: PipelineConfig, batch_records: int = cifar.BATCH_RECORDS) -> Source:
    """Brings the source that `config` names to the form that ExampleGen reads, unless that was done before.

    Args:
        config: `source`, `workspace` and, for the embedded set, `shapes` are what counts in it.
        batch_records: records that each official batch must have.

    Raises:
        DataError: when the source does not exist, cannot be had, or is not what it should be. Nothing is left then.
        DiskFullError: when the workspace has no room for it; likewise.
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
    return _load(folder, config.source)


def split_file(folder: Path, split: str) -> Path:
    """Returns the file of a split's records in the folder of a source."""
    return folder / f"{split}.bin"


def _identify(config: PipelineConfig, batch_records: int) -> _Origin:
    kind, path = parse_source(config.source)
    if kind == SHAPES:
        counts = {split: getattr(config.shapes, split) for split in SPLITS}
        return _Origin(
            SHAPES,
            shapes.fingerprint(config.shapes),
            False,
            counts,
            functools.partial(_draw, counts, config.shapes.seed),
        )
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


def _in_batches(read: Callable[[cifar.Sink], tuple[str, ...]], batch_records: int) -> Callable:
    """Makes `read`, which passes on numbered official batches, write them to the splits that they belong to."""
    places = [(TRAIN, number * batch_records) for number in range(4)] + [(EVAL, 0), (TEST, 0)]
    return lambda write: read(lambda number, block: write(*places[number], block))


def _draw(counts: dict[str, int], seed: int, write: _Write) -> tuple[str, ...]:
    for split, count in counts.items():
        write(split, 0, records.pack(*shapes.draw(count, seed, split)))
    return shapes.CLASS_NAMES


def _write(folder: Path, origin: _Origin) -> None:
    """Makes the folder of a source, whole or not at all."""
    needed = sum(origin.counts.values()) * (records.RECORD_BYTES + origin.scratch_bytes)
    try:
        with disk.ensure_space(folder.parent, needed, "the source"), atomic.folder(folder) as unfinished:
            _fill(unfinished, origin)
    except OSError:
        if not folder.is_dir():  # else another run has made the same just now
            raise


def _fill(unfinished: Path, origin: _Origin) -> None:
    class_names = origin.read(_Writer(unfinished, origin))
    identity = SourceIdentity(origin.kind, origin.sha256, origin.published, origin.counts, class_names)
    (unfinished / IDENTITY_FILE).write_text(identity.to_json() + "\n")


class _Writer:
    """Writes blocks of records, which come in any order, to their places in the files of the splits."""

    def __init__(self, folder: Path, origin: _Origin):
        self._folder, self._origin = folder, origin
        self._done = 0

    def __call__(self, split: str, start: int, block: bytes) -> None:
        path = split_file(self._folder, split)
        path.touch()
        with path.open("r+b") as file:
            file.seek(start * records.RECORD_BYTES)
            file.write(block)
        self._done += len(block) // records.RECORD_BYTES
        progress.report(f"reading {self._origin.kind}", self._done, sum(self._origin.counts.values()), "image")


def _load(folder: Path, location: str) -> Source:
    """Returns the source in `folder`; raises DataError when it is not as it was written."""
    try:
        identity = SourceIdentity.from_json((folder / IDENTITY_FILE).read_text())
        source = Source(**vars(identity), location=location, folder=folder)
        sizes = {split: split_file(folder, split).stat().st_size for split in source.counts}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(f"{folder}: damaged since it was made; remove it and run again ({error})") from error
    if sizes != {split: count * records.RECORD_BYTES for split, count in source.counts.items()}:
        raise DataError(f"{folder}: damaged since it was made; remove it and run again (a split has another size)")
    return source
