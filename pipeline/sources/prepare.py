"""Prepares a data source of any kind for ExampleGen, in one of two forms.

Either is a folder `<workspace>/sources/<kind>-<checksum>` with `source.json`, the source's identity, and for each split
a file of binary records or a list of image files. It is written atomically, and only once.
"""

import functools
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from components.example_gen import image_files, records
from components.example_gen.source_identity import SourceIdentity
from pipeline.config.settings import PipelineConfig
from pipeline.config.source import CSV, FOLDER, PATH, SHAPES, TFDS, TFDS_SET, parse_source, tfds_name
from pipeline.sources import cifar, cifar_splits, csv_file, detect, image_folder, shapes, tfds_images, tfds_source
from pipeline.sources.cifar_layouts import FINE
from pipeline.sources.cifar_reader import Sink
from pipeline.sources.file_sources import EXTRACTED, ExtractedSource, FileSource
from pipeline.sources.record_source import Reader, RecordSource, Writer
from shiftvit.config import require
from shiftvit.errors import DataError
from shiftvit.features import SPLITS
from shiftvit.files import atomic, copies, disk

IDENTITY_FILE = "source.json"
SOURCE_SETTINGS = ("shapes", "data", "ingest")  # groups of settings that `prepare` reads, beside source and workspace

_Origin = RecordSource | FileSource | ExtractedSource


@dataclass(frozen=True)
class Source:
    """A prepared source, ready for ingestion."""

    identity: SourceIdentity
    folder: Path  # holds the records or the list of image files of each split
    image_folder: Path = Path()  # that the paths of image files are relative to
    skipped: Mapping[str, int] = field(default_factory=dict)  # number of other files there, by what they are


def prepare(config: PipelineConfig) -> Source:
    """Prepares the source in `config` for ExampleGen, unless the workspace already has it. Leaves nothing on errors.

    Args:
        config: only `source`, `workspace` and the groups SOURCE_SETTINGS matter.

    Raises:
        DataError: the source does not exist, cannot be downloaded, or is invalid.
        ConfigError: its images cannot be stored in the size that is set.
        DiskFullError: the workspace has no room for it.
    """
    try:
        origin = _identify(config)
        folder = Path(config.workspace) / "sources" / origin.name
        if not folder.exists():
            _write(folder, origin)
    except OSError as error:
        raise DataError(
            f"{error.filename or config.source}: cannot be read or written ({error.strerror or error})"
        ) from error
    return _load(folder, origin)


def _identify(config: PipelineConfig) -> _Origin:
    kind, path = parse_source(config.source)
    place = path or Path()
    if kind == PATH:
        kind = detect.kind_of(place)
    if kind == FOLDER:
        return FileSource("images", image_folder.list_images(place, config.ingest), config.data)
    if kind == CSV:
        return FileSource("csv", csv_file.list_images(place, config.ingest), config.data)
    if kind == TFDS_SET:
        return ExtractedSource(tfds_images.find(tfds_name(config.source), config.ingest), config)
    require(
        config.data.image_size in (0, records.IMAGE_SIZE),
        f"data.image_size={config.data.image_size}: the images of {config.source} are stored as they are, with "
        f"{records.IMAGE_SIZE} pixels; model.image_size is the size at which the network sees them",
    )
    if kind == SHAPES:
        counts = {split: getattr(config.shapes, split) for split in SPLITS}
        draw = functools.partial(_draw, counts, config.shapes.seed)
        return RecordSource(SHAPES, shapes.fingerprint(config.shapes), False, sum(counts.values()), draw)
    if kind == TFDS:
        checksum = tfds_source.checksum(path)
        read = _in_batches(functools.partial(tfds_source.read, path, Path(config.workspace)))
        return RecordSource(TFDS, checksum, True, tfds_source.IMAGES, read, tfds_source.SCRATCH_BYTES)
    labels = config.data.cifar100_labels
    found = cifar.find(place, labels)
    read, marked = _in_batches(found.read), "" if labels == FINE else labels
    return RecordSource(found.kind, found.sha256, found.published, found.images, read, labels=marked)


def _in_batches(read: Callable[[Sink], tuple[str, ...]]) -> Reader:
    """Returns a reader of splits, from a reader of the batches of CIFAR."""
    return lambda write: cifar_splits.write(write.folder, read, write)


def _draw(counts: dict[str, int], seed: int, write: Writer) -> tuple[str, ...]:
    for split, count in counts.items():
        write(split, 0, records.pack(*shapes.draw(count, seed, split)))
    return shapes.CLASS_NAMES


def _write(folder: Path, origin: _Origin) -> None:
    """Writes the folder of a source atomically."""
    try:
        with disk.ensure_space(folder.parent, origin.disk_bytes, "the source"), atomic.folder(folder) as unfinished:
            identity = origin.write(unfinished)
            (unfinished / IDENTITY_FILE).write_text(identity.to_json() + "\n", encoding="utf-8")
    except OSError:
        if not folder.is_dir():  # if it is, another run has just written the same
            raise
    copies.share(folder.parent)  # several layouts of the same images have equal records


def _load(folder: Path, origin: _Origin) -> Source:
    """Returns the source in `folder`; raises DataError if it was damaged since it was written."""
    try:
        identity = SourceIdentity.from_json((folder / IDENTITY_FILE).read_text(encoding="utf-8"))
        counts = {split: _count(folder, split, identity.resize is not None) for split in identity.counts}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(f"{folder}: damaged since it was written; remove it and run again ({error})") from error
    if counts != identity.counts:
        raise DataError(f"{folder}: damaged since it was written; remove it and run again (a split has the wrong size)")
    if isinstance(origin, FileSource):
        return Source(identity, folder, origin.listing.folder, origin.listing.skipped)
    return Source(identity, folder, folder.absolute() / EXTRACTED if identity.resize else Path())


def _count(folder: Path, split: str, has_files: bool) -> float:
    """Returns the number of images in a split of a prepared source."""
    if has_files:
        return len(image_files.read_list(image_files.list_file(folder, split)))
    return os.path.getsize(records.split_file(folder, split)) / records.RECORD_BYTES
