"""Checks of ingested image files: how many do not decode, and which are in two classes. No Beam."""

import json
from collections.abc import Iterable, Mapping, Sequence

import tensorflow as tf

from components.example_gen.bad_images import BAD_IMAGES_FILE, BadImage
from components.example_gen.image_files import ImageFiles
from components.example_gen.measure import Measured
from components.example_gen.shards import Shard
from shiftvit import progress
from shiftvit.config import to_dict
from shiftvit.errors import DataError

_LISTED, _REPORTED = 3, 10  # in the message of an error; in the report of a run that goes on

BySplit = Mapping[str, Sequence[BadImage]]


def check_decoded(measured: Iterable[Measured], maximum: int) -> dict[str, list[BadImage]]:
    """Returns the files of each split that do not decode.

    Raises:
        DataError: if there are more than `maximum`. The message names the first.
    """
    found: dict[str, list[BadImage]] = {}
    for part in measured:
        found.setdefault(part.split, []).extend(part.bad)
    files = [image for part in found.values() for image in part]
    if len(files) > maximum:
        listed = "; ".join(f"{image.path}: {image.reason}" for image in files[:_LISTED])
        raise DataError(
            f"image files that do not decode: {len(files):,}, more than ingest.max_bad_images={maximum}: {listed}; "
            "repair or remove them, or allow more"
        )
    return found


def check_labels(measured: Iterable[Measured], shards: Iterable[Shard], class_names: Sequence[str]) -> None:
    """Raises DataError if two files with the same content are in different classes. The message names the first."""
    files = {(shard.split, shard.start): shard.content for shard in shards if isinstance(shard.content, ImageFiles)}
    first: dict[str, tuple[str, int]] = {}
    conflicts = []
    for part in measured:
        entries = files[part.split, part.start].entries if part.digests else ()
        for digest, (path, label) in zip(part.digests, entries, strict=True):
            other, other_label = first.setdefault(digest, (path, label))
            if digest and other_label != label:
                conflicts.append(f"{other} in {class_names[other_label]} and {path} in {class_names[label]}")
    if conflicts:
        raise DataError(
            f"image files in two classes: {len(conflicts):,}, such as {'; '.join(conflicts[:_LISTED])}; remove the "
            "wrong ones"
        )


def write(bad: BySplit, output: str) -> None:
    """Writes BAD_IMAGES_FILE, and reports what is in it, if there are bad images."""
    listed = {split: list(map(to_dict, images)) for split, images in bad.items() if images}
    if not listed:
        return
    path = f"{output}/{BAD_IMAGES_FILE}"
    with tf.io.gfile.GFile(path, "w") as file:
        json.dump(listed, file, indent=2)
    files = [f"{image.path}: {image.reason}" for images in bad.values() for image in images]
    shown = "".join(f"\n  {file}" for file in files[:_REPORTED])
    progress.note(f"Image files left out because they do not decode: {len(files):,}, all of them in {path}{shown}")
