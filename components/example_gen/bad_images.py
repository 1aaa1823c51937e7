"""The list of the image files that ingestion left out because they do not decode. Imports no TensorFlow."""

import json
from dataclasses import dataclass
from pathlib import Path

from shiftvit.config import from_dict

BAD_IMAGES_FILE = "bad_images.json"  # in the folder of an Examples artifact, if there are any


@dataclass(frozen=True)
class BadImage:
    """An image file that does not decode."""

    path: str  # relative to the folder of the source
    reason: str


def read_bad_images(examples: str) -> dict[str, list[BadImage]]:
    """Returns the files of each split in an Examples artifact that did not decode."""
    path = Path(examples, BAD_IMAGES_FILE)
    if not path.exists():
        return {}
    listed = json.loads(path.read_text(encoding="utf-8"))
    return {split: [from_dict(BadImage, image) for image in images] for split, images in listed.items()}
