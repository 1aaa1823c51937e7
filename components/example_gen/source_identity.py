"""The identity of a data source: a JSON parameter of ExampleGen. Also the properties of its Examples artifact."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from shiftvit.config import Resize
from shiftvit.dataset import DatasetInfo
from shiftvit.features import SPLITS

CLASS_NAMES = "class_names"  # a JSON list
KIND, SHA256, PUBLISHED = "source_kind", "source_sha256", "source_published"
IMAGE_SIZE = "image_size"


def count_property(split: str) -> str:
    """Returns the name of the property that holds the split's number of images."""
    return f"count_{split}"


PROPERTIES = (CLASS_NAMES, IMAGE_SIZE, KIND, SHA256, PUBLISHED, *map(count_property, SPLITS))


@dataclass(frozen=True)
class SourceIdentity:
    """What identifies the content of a data source, wherever it is stored."""

    kind: str  # such as shapes, tfds, archive or folder
    sha256: (
        str  # of the archive or of CIFAR's files; of image files, over their paths, classes, sizes and times; of the
    )
    # embedded set, over everything that determines it
    published: bool  # whether `sha256` is the checksum published with the official archive
    counts: dict[str, int]  # images of each split
    class_names: tuple[str, ...]  # by class id
    image_size: int  # pixels on each side of the stored images
    resize: Resize | None = None  # how image files that are not square become so; None for sources without files
    labels: str = ""  # coarse, if they are those of CIFAR-100

    @property
    def num_classes(self) -> int:
        """The number of classes."""
        return len(self.class_names)

    def to_json(self) -> str:
        """Returns the same text for equal identities."""
        return json.dumps(asdict(self), sort_keys=True)

    @staticmethod
    def from_json(text: str) -> "SourceIdentity":
        """Reads what `to_json` wrote; the splits come in the order of SPLITS."""
        values = json.loads(text)
        counts = {split: values["counts"][split] for split in SPLITS if split in values["counts"]}
        return SourceIdentity(**values | {"class_names": tuple(values["class_names"]), "counts": counts})

    def properties(self) -> dict[str, str | int]:
        """Returns the properties of the Examples artifact that are known before ingestion."""
        names = json.dumps(list(self.class_names))
        return {CLASS_NAMES: names, KIND: self.kind, SHA256: self.sha256, PUBLISHED: int(self.published)}


def dataset_properties(dataset: DatasetInfo) -> dict[str, str | int]:
    """Returns the properties of the Examples artifact that were measured during ingestion."""
    return {
        **{count_property(split): sum(counts) for split, counts in dataset.class_counts.items()},
        IMAGE_SIZE: dataset.image_size,
        "class_counts": json.dumps(dataset.class_counts),
        "pixel_mean": json.dumps(dataset.pixel_mean),
        "pixel_std": json.dumps(dataset.pixel_std),
    }


def class_names(properties: Mapping[str, Any]) -> tuple[str, ...]:
    """Returns the class names by class id from the properties of an Examples artifact, or () if it has none."""
    return tuple(json.loads(properties.get(CLASS_NAMES, "[]")))
