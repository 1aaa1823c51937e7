"""Sources whose images are files of any size, prepared as lists of them."""

import dataclasses
import functools
import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from components.example_gen import image_files
from components.example_gen.source_identity import SourceIdentity
from pipeline.config.settings import IngestConfig, PipelineConfig
from pipeline.sources.listing import Listing
from shiftvit.config import DataConfig, Resize
from shiftvit.features import MAX_SIZE, MIN_SIZE

EXTRACTED = "images"  # folder of the extracted images in a prepared source
DEFAULT_SIZE = 64  # pixels a side of stored images


@dataclass(frozen=True)
class FileSource:
    """Image files that were listed."""

    kind: str
    listing: Listing
    settings: DataConfig

    @functools.cached_property
    def sha256(self) -> str:
        """As in SourceIdentity."""
        return self.listing.checksum(*self._stored)

    @property
    def name(self) -> str:
        """Name of its folder."""
        return f"{self.kind}-{self.sha256[:16]}"

    @property
    def disk_bytes(self) -> int:
        """Bytes on the disk that preparing it takes."""
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


class Images(Protocol):
    """Images that are no files, or not files of their own."""

    @property
    def kind(self) -> str:
        """As in SourceIdentity."""

    @property
    def checksum(self) -> str:
        """A SHA-256, in hex, that changes with the images."""

    @property
    def disk_bytes(self) -> int:
        """Bytes on the disk that they take as files."""

    @property
    def image_size(self) -> int | None:
        """Pixels on each side of the images, or None if they have different sizes or are not square."""

    def extract(self, folder: Path, config: IngestConfig) -> Listing:
        """Writes the images as files into the folder, which does not exist yet, and lists them."""


@dataclass(frozen=True)
class ExtractedSource:
    """Images that are extracted to files."""

    images: Images
    config: PipelineConfig

    @property
    def kind(self) -> str:
        """As in SourceIdentity."""
        return self.images.kind

    @property
    def sha256(self) -> str:
        """As in SourceIdentity."""
        ingest, data = self.config.ingest, self.config.data
        settings = (data.image_size, data.resize, ingest.eval_share, ingest.test_share, ingest.split_seed)
        return hashlib.sha256(json.dumps([self.images.checksum, settings]).encode()).hexdigest()

    @property
    def name(self) -> str:
        """Name of its folder."""
        return f"{self.kind}-{self.sha256[:16]}"

    @property
    def disk_bytes(self) -> int:
        """Bytes on the disk that preparing it takes."""
        return self.images.disk_bytes

    def write(self, folder: Path) -> SourceIdentity:
        """Writes the images and the lists of them, and returns the identity."""
        listing = self.images.extract(folder / EXTRACTED, self.config.ingest)
        native = min(max(self.images.image_size or DEFAULT_SIZE, MIN_SIZE), MAX_SIZE)
        size = self.config.data.image_size or native
        files = FileSource(self.kind, listing, dataclasses.replace(self.config.data, image_size=size))
        return dataclasses.replace(files.write(folder), sha256=self.sha256)
