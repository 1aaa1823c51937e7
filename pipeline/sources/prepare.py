"""Prepares a data source of any kind for ExampleGen, in one of two forms.

Either is a folder `<workspace>/sources/<kind>-<checksum>` with `source.json`, the source's identity, and for each split
a file of binary records or a list of image files. It is written atomically, and only once.
"""

import dataclasses
import functools
import hashlib
import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from components.example_gen import image_files, records
from components.example_gen.source_identity import SourceIdentity
from pipeline.config.settings import PipelineConfig
from pipeline.config.source import CSV, FOLDER, PATH, SHAPES, TFDS, TFDS_SET, parse_source, tfds_name
from pipeline.sources import cifar, csv_file, detect, image_folder, shapes, tfds_images, tfds_source
from pipeline.sources.listing import Listing
from pipeline.sources.tfds_images import TfdsImages
from shiftvit import progress
from shiftvit.config import DataConfig, Resize, require
from shiftvit.errors import DataError
from shiftvit.features import EVAL, SPLITS, TEST, TRAIN
from shiftvit.files import atomic, disk

IDENTITY_FILE = "source.json"
SOURCE_SETTINGS = ("shapes", "data", "ingest")  # groups of settings that `prepare` reads, beside source and workspace
EXTRACTED = "images"  # folder of the images of tensorflow-datasets in a prepared source
DEFAULT_SIZE = 64  # pixels a side of stored image files

_Write = Callable[[str, int, bytes], None]  # takes a split, the index of the first record in it, and the records
_Read = Callable[[_Write], tuple[str, ...]]  # writes every record, in any order; returns the class names


@dataclass(frozen=True)
class Source:
    """A prepared source, ready for ingestion."""

    identity: SourceIdentity
    folder: Path  # holds the records or the list of image files of each split
    image_folder: Path = Path()  # that the paths of image files are relative to
    skipped: Mapping[str, int] = field(default_factory=dict)  # number of other files there, by what they are


@dataclass(frozen=True)
class _Records:
    """A source of binary records that is identified but not yet read."""

    kind: str
    sha256: str
    published: bool
    counts: dict[str, int]
    read: _Read
    scratch_bytes: int = 0  # on the disk, per image, needed only while reading

    @property
    def disk_bytes(self) -> int:
        """Bytes on the disk that are needed to prepare it."""
        return sum(self.counts.values()) * (records.RECORD_BYTES + self.scratch_bytes)

    def write(self, folder: Path) -> SourceIdentity:
        """Writes the records, and returns the identity."""
        class_names = self.read(_Writer(folder, self))
        return SourceIdentity(self.kind, self.sha256, self.published, self.counts, class_names, records.IMAGE_SIZE)


@dataclass(frozen=True)
class _Files:
    """A source of image files."""

    kind: str
    listing: Listing
    settings: DataConfig

    @property
    def sha256(self) -> str:
        return self.listing.checksum(*self._stored)

    @property
    def disk_bytes(self) -> int:
        """Bytes on the disk that are needed to prepare it."""
        return sum(len(file.path) + 20 for files in self.listing.files.values() for file in files)

    @property
    def _stored(self) -> tuple[int, Resize]:
        """The size of the stored images, and how they become square."""
        return self.settings.image_size or DEFAULT_SIZE, self.settings.resize

    def write(self, folder: Path) -> SourceIdentity:
        """Writes the lists, and returns the identity."""
        names = self.listing.class_names
        ids = {name: class_id for class_id, name in enumerate(names)}
        for split, files in self.listing.files.items():
            entries = ((file.path, ids[file.class_name]) for file in files)
            image_files.write_list(image_files.list_file(folder, split), entries)
        counts = {split: len(files) for split, files in self.listing.files.items()}
        return SourceIdentity(self.kind, self.sha256, False, counts, names, *self._stored)


@dataclass(frozen=True)
class _Tfds:
    """A data set of tensorflow-datasets."""

    images: TfdsImages
    config: PipelineConfig

    @property
    def kind(self) -> str:
        return f"{TFDS}-{self.images.name.replace('/', '-')}"

    @property
    def sha256(self) -> str:
        ingest, data = self.config.ingest, self.config.data
        settings = (data.image_size, data.resize, ingest.eval_share, ingest.test_share, ingest.split_seed)
        return hashlib.sha256(json.dumps([self.images.checksum, settings]).encode()).hexdigest()

    @property
    def disk_bytes(self) -> int:
        """Bytes on the disk that are needed to prepare it."""
        return self.images.disk_bytes

    def write(self, folder: Path) -> SourceIdentity:
        """Writes the images and the lists of them, and returns the identity."""
        listing = self.images.extract(folder / EXTRACTED, self.config.ingest)
        size = self.config.data.image_size or self.images.image_size or DEFAULT_SIZE
        files = _Files(self.kind, listing, dataclasses.replace(self.config.data, image_size=size))
        return dataclasses.replace(files.write(folder), sha256=self.sha256)


def prepare(config: PipelineConfig, batch_records: int = cifar.BATCH_RECORDS) -> Source:
    """Prepares the source in `config` for ExampleGen, unless the workspace already has it. Leaves nothing on errors.

    Args:
        config: only `source`, `workspace` and the groups SOURCE_SETTINGS matter.
        batch_records: number of records in each official batch.

    Raises:
        DataError: the source does not exist, cannot be downloaded, or is invalid.
        ConfigError: its images cannot be stored in the size that is set.
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
    return _load(folder, origin)


def _identify(config: PipelineConfig, batch_records: int) -> _Records | _Files | _Tfds:
    kind, path = parse_source(config.source)
    place = path or Path()
    if kind == PATH:
        kind = detect.kind_of(place)
    if kind == FOLDER:
        return _Files("images", image_folder.list_images(place, config.ingest), config.data)
    if kind == CSV:
        return _Files("csv", csv_file.list_images(place, config.ingest), config.data)
    if kind == TFDS_SET:
        return _Tfds(tfds_images.find(tfds_name(config.source), config.ingest), config)
    require(
        config.data.image_size in (0, records.IMAGE_SIZE),
        f"data.image_size={config.data.image_size}: the images of {config.source} are stored as they are, with "
        f"{records.IMAGE_SIZE} pixels; model.image_size is the size at which the network sees them",
    )
    if kind == SHAPES:
        counts = {split: getattr(config.shapes, split) for split in SPLITS}
        draw = functools.partial(_draw, counts, config.shapes.seed)
        return _Records(SHAPES, shapes.fingerprint(config.shapes), False, counts, draw)
    counts = {TRAIN: 4 * batch_records, EVAL: batch_records, TEST: batch_records}
    if kind == TFDS:
        checksum = tfds_source.checksum(path, batch_records)
        read = functools.partial(tfds_source.read, path, batch_records, Path(config.workspace))
        return _Records(TFDS, checksum, True, counts, _in_batches(read, batch_records), tfds_source.SCRATCH_BYTES)
    if place.is_dir():
        folder, form = cifar.find_folder(place)
        read = functools.partial(cifar.read_folder, folder, form, batch_records)
        checksum = cifar.folder_checksum(folder, form, batch_records)
        return _Records("folder", checksum, False, counts, _in_batches(read, batch_records))
    checksum = cifar.archive_checksum(place, batch_records)
    read = functools.partial(cifar.read_archive, place, batch_records)
    return _Records("archive", checksum, checksum in cifar.PUBLISHED, counts, _in_batches(read, batch_records))


def _in_batches(read: Callable[[cifar.Sink], tuple[str, ...]], batch_records: int) -> _Read:
    """Returns a reader of splits, from a reader of official batches: four train, one is eval, and one is test."""
    places = [(TRAIN, index * batch_records) for index in range(4)] + [(EVAL, 0), (TEST, 0)]
    return lambda write: read(lambda index, block: write(*places[index], block))


def _draw(counts: dict[str, int], seed: int, write: _Write) -> tuple[str, ...]:
    for split, count in counts.items():
        write(split, 0, records.pack(*shapes.draw(count, seed, split)))
    return shapes.CLASS_NAMES


def _write(folder: Path, origin: _Records | _Files | _Tfds) -> None:
    """Writes the folder of a source atomically."""
    try:
        with disk.ensure_space(folder.parent, origin.disk_bytes, "the source"), atomic.folder(folder) as unfinished:
            identity = origin.write(unfinished)
            (unfinished / IDENTITY_FILE).write_text(identity.to_json() + "\n")
    except OSError:
        if not folder.is_dir():  # if it is, another run has just written the same
            raise


class _Writer:
    """Writes blocks of records to the files of the splits, in any order."""

    def __init__(self, folder: Path, origin: _Records):
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


def _load(folder: Path, origin: _Records | _Files | _Tfds) -> Source:
    """Returns the source in `folder`; raises DataError if it was damaged since it was written."""
    try:
        identity = SourceIdentity.from_json((folder / IDENTITY_FILE).read_text())
        counts = {split: _count(folder, split, identity.resize is not None) for split in identity.counts}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(f"{folder}: damaged since it was written; remove it and run again ({error})") from error
    if counts != identity.counts:
        raise DataError(f"{folder}: damaged since it was written; remove it and run again (a split has the wrong size)")
    if isinstance(origin, _Files):
        return Source(identity, folder, origin.listing.folder, origin.listing.skipped)
    return Source(identity, folder, folder.absolute() / EXTRACTED if identity.resize else Path())


def _count(folder: Path, split: str, has_files: bool) -> float:
    """Returns the number of images in a split of a prepared source."""
    if has_files:
        return len(image_files.read_list(image_files.list_file(folder, split)))
    return os.path.getsize(records.split_file(folder, split)) / records.RECORD_BYTES
