"""CIFAR-10 through tensorflow-datasets: downloaded by it, or from a local copy of what it would download."""

import http.client
import threading
import urllib.request
from pathlib import Path
from typing import Any

import numpy as np

from components.example_gen import records
from pipeline.sources import cifar
from shiftvit import progress
from shiftvit.errors import DataError
from shiftvit.features import IMAGE_SHAPE
from shiftvit.files import atomic

URL = "https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz"
ARCHIVE = "cifar-10-binary.tar.gz"  # the name under which tensorflow-datasets looks for a local copy
SHA256 = cifar.PUBLISHED[0]  # the only checksum that tensorflow-datasets accepts
SCRATCH_BYTES = 8_300  # that an image takes in the archive, unpacked and as tensorflow-datasets keeps it

_PROBE_SECONDS = 15  # in all; a name server that does not answer is not under urlopen's timeout
_TRAINING_BATCHES = len(cifar.BATCHES) - 1
_READ = 1000  # images decoded at once


def checksum(archive: Path | None, batch_records: int) -> str:
    """Returns the sha256 of what tensorflow-datasets will read: the local archive, or without one the download.

    Raises:
        DataError: when the archive is missing or is not the published one.
    """
    if archive is None:
        return SHA256
    if not archive.is_file():
        raise DataError(f"{archive}: no such file; tfds:ARCHIVE takes a local copy of {ARCHIVE}")
    found = cifar.archive_checksum(archive, batch_records)
    if found != SHA256:
        raise DataError(
            f"{archive}: tensorflow-datasets reads only the published {ARCHIVE}, sha256 {SHA256[:16]}…, "
            f"and this one has {found[:16]}…; to use it nevertheless, give its path without tfds:"
        )
    return found


def read(archive: Path | None, batch_records: int, workspace: Path, sink: cifar.Sink) -> tuple[str, ...]:
    """Sends the pictures to `sink`, in the official batches and their order, and returns the class names.

    Raises:
        DataError: when there is neither an archive nor a network, or the dataset is not what it should be.
    """
    if archive is None:
        _require_network()
    with atomic.scratch(workspace / "sources" / "tfds") as scratch:
        builder = _prepare(archive, scratch)
        for split, prefix, first, batches in (
            ("train", "train_", 0, _TRAINING_BATCHES),
            ("test", "test_", _TRAINING_BATCHES, 1),
        ):
            images, labels = _read_split(builder, split, prefix, batches * batch_records)
            for batch in range(batches):
                chosen = slice(batch * batch_records, (batch + 1) * batch_records)
                sink(first + batch, records.pack(images[chosen], labels[chosen]))
        return tuple(builder.info.features["label"].names)


def _require_network() -> None:
    """Raises DataError when the download's host does not answer: tensorflow-datasets itself would try for long."""
    answered = threading.Event()
    failures = []

    def probe():
        try:
            request = urllib.request.Request(URL, method="HEAD")
            with urllib.request.build_opener().open(request, timeout=_PROBE_SECONDS):
                answered.set()
        except (OSError, http.client.HTTPException) as error:
            failures.append(str(getattr(error, "reason", error)))

    prober = threading.Thread(target=probe, daemon=True)
    prober.start()
    prober.join(_PROBE_SECONDS)
    if not answered.is_set():
        reason = failures[0] if failures else f"no answer in {_PROBE_SECONDS} seconds"
        raise DataError(
            f"tfds: cannot download {URL} ({reason}); give a local copy with --data tfds:{ARCHIVE}, or the "
            "path of any CIFAR-10 archive or folder"
        )


def _prepare(archive: Path | None, scratch: Path) -> Any:
    """Returns a builder of tensorflow-datasets whose data lie ready in `scratch`."""
    import tensorflow_datasets as tfds

    tfds.disable_progress_bar()
    local = scratch / "local"
    local.mkdir()
    if archive is not None:
        (local / ARCHIVE).symlink_to(archive.resolve())
    progress.report("preparing tfds", 0, 1, "dataset")
    builder = tfds.builder("cifar10", data_dir=scratch / "data")
    try:
        builder.download_and_prepare(
            download_dir=scratch / "downloads", download_config=tfds.download.DownloadConfig(manual_dir=local)
        )
    except (
        tfds.download.DownloadError,
        tfds.download.download_manager.NonMatchingChecksumError,
        tfds.download.extractor.ExtractError,
    ) as error:
        raise DataError(
            f"tfds: {' '.join(str(error).split())}; give a local copy with --data tfds:{ARCHIVE}"
        ) from error
    progress.report("preparing tfds", 1, 1, "dataset")
    return builder


def _read_split(builder: Any, split: str, prefix: str, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Returns images and labels in the order of their ids, such as train_00000: they are stored shuffled.

    Raises:
        DataError: unless the ids are just those of `count` pictures.
    """
    import tensorflow_datasets as tfds

    images, labels = np.empty((count, *IMAGE_SHAPE), np.uint8), np.empty(count, np.uint8)
    places = []
    for batch in tfds.as_numpy(builder.as_dataset(split=split, batch_size=_READ)):
        place = np.array([int(identifier.decode().removeprefix(prefix)) for identifier in batch["id"]])
        places.extend(place.tolist())
        if place.max() < count:
            images[place], labels[place] = batch["image"], batch["label"]
    if sorted(places) != list(range(count)):
        raise DataError(f"tfds: the {split} split has {len(places):,} images where {count:,} belong")
    return images, labels
