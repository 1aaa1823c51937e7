"""CIFAR-10 through tensorflow-datasets, which downloads it or reads a local copy of its download."""

import http.client
import threading
import urllib.request
from pathlib import Path
from typing import Any

import numpy as np

from components.example_gen import records
from pipeline.sources import cifar, cifar_published
from pipeline.sources.cifar_layouts import TEST_BATCH
from pipeline.sources.cifar_reader import Sink
from shiftvit import certificates, progress
from shiftvit.errors import DataError
from shiftvit.files import atomic, paths

URL = "https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz"
ARCHIVE = "cifar-10-binary.tar.gz"  # file name of a local copy that tensorflow-datasets looks for
SHA256 = cifar_published.CIFAR10_BINARY  # the only checksum that tensorflow-datasets accepts
IMAGES = cifar_published.BATCHES * cifar_published.BATCH_IMAGES  # in both splits
SCRATCH_BYTES = 8_300  # on the disk, per image: in the archive, unpacked, and as tensorflow-datasets stores it

_PROBE_SECONDS = 15  # in total; the timeout of urlopen does not cover the name server
_READ_BATCH = 1000  # images decoded at once


def checksum(archive: Path | None) -> str:
    """Returns the SHA-256 of what tensorflow-datasets reads: the local archive if there is one, or else the download.

    Raises:
        DataError: the archive is missing or is not the published one.
    """
    if archive is None:
        return SHA256
    if not archive.is_file():
        raise DataError(f"{archive}: no such file; tfds:ARCHIVE takes a local copy of {ARCHIVE}")
    found = cifar.archive_checksum(archive)
    if found != SHA256:
        raise DataError(
            f"{archive}: tensorflow-datasets reads only the published {ARCHIVE}, sha256 {SHA256[:16]}…, "
            f"but this one has {found[:16]}…; to use it anyway, give its path without tfds:"
        )
    return found


def read(archive: Path | None, workspace: Path, sink: Sink) -> tuple[str, ...]:
    """Sends the records to `sink` in the official batches and order, and returns the class names.

    Raises:
        DataError: there is neither an archive nor a network, or the data set is incomplete.
    """
    if archive is None:
        way_out = f"use a local copy with --data tfds:{ARCHIVE}, or the path of a CIFAR-10 archive or folder"
        require_network(URL, "tfds", way_out)
    with atomic.scratch(workspace / "sources" / "tfds") as scratch:
        builder = _prepare(archive, Path(paths.plain(scratch)))
        for split, prefix, numbers in (
            ("train", "train_", range(1, cifar_published.BATCHES)),
            ("test", "test_", [TEST_BATCH]),
        ):
            images, labels = _read_split(builder, split, prefix)
            parts = zip(np.array_split(images, len(numbers)), np.array_split(labels, len(numbers)), strict=True)
            for number, part in zip(numbers, parts, strict=True):
                sink(number, records.pack(*part))
        return tuple(builder.info.features["label"].names)


def require_network(url: str, source: str, way_out: str) -> None:
    """Raises DataError if the download's host does not answer; tensorflow-datasets itself would retry for minutes."""
    certificates.check()
    answered = threading.Event()
    failures: list[str] = []

    def probe() -> None:
        try:
            request = urllib.request.Request(url, method="HEAD")
            with urllib.request.build_opener().open(request, timeout=_PROBE_SECONDS):
                answered.set()
        except (OSError, http.client.HTTPException) as error:
            failures.append(str(getattr(error, "reason", error)))

    prober = threading.Thread(target=probe, daemon=True)
    prober.start()
    prober.join(_PROBE_SECONDS)
    if not answered.is_set():
        reason = failures[0] if failures else f"no answer in {_PROBE_SECONDS} seconds"
        raise DataError(f"{source}: cannot download {url} ({reason}); {way_out}")


def prepare_errors() -> tuple[type[Exception], ...]:
    """Returns what tensorflow-datasets raises if a download fails or is not what it should be."""
    import tensorflow_datasets as tfds

    return (
        tfds.download.DownloadError,
        tfds.download.download_manager.NonMatchingChecksumError,
        tfds.download.extractor.ExtractError,
        AssertionError,  # the data must be downloaded by hand
    )


def _prepare(archive: Path | None, scratch: Path) -> Any:
    """Returns a tensorflow-datasets builder with its data prepared in `scratch`."""
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
    except prepare_errors() as error:
        raise DataError(f"tfds: {' '.join(str(error).split())}; use a local copy with --data tfds:{ARCHIVE}") from error
    progress.report("preparing tfds", 1, 1, "dataset")
    return builder


def _read_split(builder: Any, split: str, prefix: str) -> tuple[np.ndarray, np.ndarray]:
    """Returns the images and labels of a split, sorted by id, such as train_00000; they are stored shuffled.

    Raises:
        DataError: the ids do not count the images.
    """
    import tensorflow_datasets as tfds

    count = builder.info.splits[split].num_examples
    images, labels = np.empty((count, *records.IMAGE_SHAPE), np.uint8), np.empty(count, np.uint8)
    indices: list[int] = []
    for batch in tfds.as_numpy(builder.as_dataset(split=split, batch_size=_READ_BATCH)):
        index = np.array([int(identifier.decode().removeprefix(prefix)) for identifier in batch["id"]])
        indices.extend(index.tolist())
        if index.max() < count:
            images[index], labels[index] = batch["image"], batch["label"]
    if sorted(indices) != list(range(count)):
        raise DataError(f"tfds: the {split} split has {len(indices):,} images instead of {count:,}")
    return images, labels
