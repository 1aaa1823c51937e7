"""Sources whose images are prepared as binary records: CIFAR's layouts and the embedded set."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from components.example_gen import records
from components.example_gen.source_identity import SourceIdentity
from shiftvit import progress
from shiftvit.features import SPLITS

Reader = Callable[["Writer"], tuple[str, ...]]  # writes every record, in any order; returns the class names


@dataclass(frozen=True)
class RecordSource:
    """A source that is identified but not yet read."""

    kind: str
    sha256: str
    published: bool
    images: int  # in all splits; of an archive, about
    read: Reader
    scratch_bytes: int = 0  # on the disk, per image, needed only while reading
    labels: str = ""  # as in SourceIdentity

    @property
    def name(self) -> str:
        """Name of its folder."""
        return "-".join(filter(None, (self.kind, self.sha256[:16], self.labels)))

    @property
    def disk_bytes(self) -> int:
        """Bytes on the disk that preparing it takes."""
        return self.images * (records.RECORD_BYTES + self.scratch_bytes)

    def write(self, folder: Path) -> SourceIdentity:
        """Writes the records, and returns the identity."""
        names = self.read(Writer(folder, self))
        sizes = {split: os.path.getsize(records.split_file(folder, split)) for split in SPLITS}
        counts = {split: size // records.RECORD_BYTES for split, size in sizes.items()}
        progress.report(f"reading {self.kind}", sum(counts.values()), sum(counts.values()), "image")
        return SourceIdentity(
            self.kind, self.sha256, self.published, counts, names, records.IMAGE_SIZE, labels=self.labels
        )


class Writer:
    """Writes blocks of records to the files of the splits in `folder`, in any order."""

    def __init__(self, folder: Path, source: RecordSource):
        self.folder, self._source = folder, source
        self._done = 0

    def __call__(self, split: str, start: int, block: bytes) -> None:
        """Writes a block of records; `start` is the index of the first in the split."""
        path = Path(records.split_file(self.folder, split))
        path.touch()
        with path.open("r+b") as file:
            file.seek(start * records.RECORD_BYTES)
            file.write(block)
        self._done += len(block) // records.RECORD_BYTES
        progress.report(f"reading {self._source.kind}", self._done, max(self._done, self._source.images), "image")
