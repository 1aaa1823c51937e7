"""What a data set is: image size, class names, counts and pixel statistics. Imports no TensorFlow.

Ingestion writes it beside the folders of the splits. Everything downstream reads it there.
"""

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from shiftvit.config import Resize, from_dict, to_dict
from shiftvit.errors import ConfigError, DataError
from shiftvit.features import image_shape

DATASET_FILE = "dataset.json"
EXTRA_FOLDER = "assets.extra"  # of a SavedModel, for files that TensorFlow ignores; ours has DATASET_FILE


@dataclass(frozen=True)
class DatasetInfo:
    """Facts of a data set, found while it is ingested."""

    image_size: int  # pixels on each side of every stored image
    class_names: tuple[str, ...]  # by class id
    class_counts: dict[str, tuple[int, ...]]  # images by class id, for each split
    pixel_mean: tuple[float, ...]  # of red, green and blue in the training split, from 0 to 1
    pixel_std: tuple[float, ...]
    resize: Resize = "crop"  # how image files that are not square became so

    @property
    def num_classes(self) -> int:
        """The number of classes."""
        return len(self.class_names)

    @property
    def image_bytes(self) -> int:
        """The bytes of an image's pixels."""
        return math.prod(image_shape(self.image_size))

    def to_json(self) -> str:
        """Returns the content of DATASET_FILE."""
        return json.dumps(to_dict(self), indent=2) + "\n"


@dataclass(frozen=True)
class TrainingData:
    """What a training reads."""

    dataset: DatasetInfo
    train_files: Sequence[str]  # patterns of TFRecord files of the training split
    eval_files: Sequence[str]  # the same of the eval split


def read_dataset(examples: str | Path) -> DatasetInfo:
    """Returns the facts of the records in the folder of an Examples artifact.

    Raises:
        DataError: if DATASET_FILE is missing or damaged.
    """
    path = Path(examples) / DATASET_FILE
    try:
        return from_dict(DatasetInfo, json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError, ConfigError) as error:
        raise DataError(f"{path}: cannot be read ({error}); ingest the data again") from error


def dataset_of_model(model: str | Path) -> DatasetInfo:
    """Returns the facts of the records that an exported model was trained on; errors as in `read_dataset`."""
    return read_dataset(Path(model) / EXTRA_FOLDER)


def dataset_of_files(patterns: Sequence[str]) -> DatasetInfo:
    """Returns what `read_dataset` returns, from the patterns of the files of a split, as TFX gives them to trainers."""
    return read_dataset(Path(patterns[0]).parent.parent)
