"""The facts of CIFAR-10, for tests that make records or models without ingesting it."""

import math
from pathlib import Path

from pipeline.sources.cifar_published import CLASS_NAMES
from shiftvit.dataset import DATASET_FILE, DatasetInfo
from shiftvit.features import SPLITS, image_shape

NUM_CLASSES = len(CLASS_NAMES)
IMAGE_SHAPE = image_shape(32)
IMAGE_BYTES = math.prod(IMAGE_SHAPE)
CIFAR10 = DatasetInfo(
    image_size=32,
    class_names=CLASS_NAMES,
    class_counts=dict.fromkeys(SPLITS, (1000,) * NUM_CLASSES),
    pixel_mean=(0.4914, 0.4822, 0.4465),
    pixel_std=(0.2470, 0.2435, 0.2616),
)


def describe(examples: Path, dataset: DatasetInfo = CIFAR10) -> None:
    """Writes the facts into the folder of an Examples artifact."""
    (examples / DATASET_FILE).write_text(dataset.to_json())
