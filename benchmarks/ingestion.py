"""Measures ingestion next to TFDS: `python -m benchmarks.ingestion ARCHIVE`, with CIFAR-10's binary archive.

Each row runs in a process of its own, so that its peak memory is its own and no row profits from another's caches.
"""

import argparse
import dataclasses
import logging
import multiprocessing
import re
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.table import Table, number
from shiftvit.features import EVAL, TEST, TRAIN
from shiftvit.quiet import silence_libraries

if TYPE_CHECKING:
    from pipeline.sources.prepare import Source

_IMAGES = 60_000
_TIMES = 10  # in the last row, which shows how ingestion scales

Work = Callable[[Path, int, Path], float]  # takes the archive, the number of images and a folder; returns the seconds


def main() -> None:
    """Measures and prints the table."""
    parser = argparse.ArgumentParser(
        "python -m benchmarks.ingestion", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("archive", type=Path, metavar="ARCHIVE", help="CIFAR-10's binary archive")
    parser.add_argument("--rounds", type=int, default=3, metavar="N", help="to take medians of (default: %(default)s)")
    options = parser.parse_args()
    if not options.archive.is_file():
        parser.error(f"{options.archive}: no such file; give CIFAR-10's binary archive")
    print(_measure_all(options.archive, options.rounds).render())


def _measure_all(archive: Path, rounds: int) -> Table:
    rows: dict[str, tuple[Work, int]] = {
        "TFDS, from the archive": (_prepare_with_tfds, _IMAGES),
        "ours, from the archive": (_prepare_and_ingest, _IMAGES),
        "ours, from prepared records": (_ingest_random, _IMAGES),
        f"ours, {_TIMES} times as many": (_ingest_random, _TIMES * _IMAGES),
    }
    figures: dict[str, list[tuple[float, int]]] = {name: [] for name in rows}
    for _ in range(rounds):
        for name, (work, images) in rows.items():
            figures[name].append(in_a_process(work, archive, images))
            print(f"{name}: {figures[name][-1]}", file=sys.stderr)
    table = Table("Ingestion, local runner", ("", "images", "seconds", "images/s", "times TFDS", "peak memory, MiB"))
    reference = 0.0  # the rate of the first row
    for name, (_, images) in rows.items():
        seconds, peak = map(statistics.median, zip(*figures[name], strict=True))
        rate = images / seconds
        reference = reference or rate
        table.add(name, number(images), number(seconds), number(rate), f"{rate / reference:.2f}", number(peak / 2**20))
    return table


def in_a_process(work: Work, archive: Path, images: int) -> tuple[float, int]:
    """Returns the seconds that `work` returns, and the peak memory of its process in bytes."""
    with tempfile.TemporaryDirectory() as folder, multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(_measure, (work, archive, images, Path(folder)))


def _measure(work: Work, archive: Path, images: int, folder: Path) -> tuple[float, int]:
    silence_libraries()
    logging.disable(logging.INFO)
    seconds = work(archive, images, folder)
    peaks = re.findall(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text(encoding="utf-8"))
    return seconds, int(peaks[0]) * 1024


def _prepare_with_tfds(archive: Path, images: int, folder: Path) -> float:
    import tensorflow_datasets as tfds

    from pipeline.sources import cifar, tfds_source

    infos = tfds.builder_cls("cifar10").url_infos  # TFDS accepts only an archive with the checksum it knows
    info = infos[tfds_source.URL]
    checksum, size = cifar.file_checksum(archive), type(info.size)(archive.stat().st_size)
    infos[tfds_source.URL] = dataclasses.replace(info, checksum=checksum, size=size)
    (folder / tfds_source.ARCHIVE).symlink_to(archive.resolve())
    tfds.disable_progress_bar()
    builder = tfds.builder("cifar10", data_dir=folder / "data")
    config = tfds.download.DownloadConfig(manual_dir=folder)
    started = time.perf_counter()
    builder.download_and_prepare(download_dir=folder / "downloads", download_config=config)
    seconds = time.perf_counter() - started
    assert sum(split.num_examples for split in builder.info.splits.values()) == images
    return seconds


def _prepare_and_ingest(archive: Path, images: int, folder: Path) -> float:
    from pipeline.config.settings import PipelineConfig
    from pipeline.sources.prepare import prepare

    started = time.perf_counter()
    source = prepare(PipelineConfig(source=str(archive), workspace=str(folder)))
    seconds = time.perf_counter() - started
    assert sum(source.identity.counts.values()) == images
    return seconds + ingest(source, folder)


def _ingest_random(archive: Path, images: int, folder: Path) -> float:
    """Ingests random records; `archive` is not used."""
    import numpy as np

    from components.example_gen import records
    from components.example_gen.source_identity import SourceIdentity
    from pipeline.sources.cifar_published import CLASS_NAMES
    from pipeline.sources.prepare import Source

    random, block_size = np.random.default_rng(0), _IMAGES // 6
    block = records.pack(random.integers(0, 256, (block_size, 32, 32, 3), np.uint8), random.integers(0, 10, block_size))
    counts = {TRAIN: images * 4 // 6, EVAL: images // 6, TEST: images // 6}
    for split, count in counts.items():
        with (folder / f"{split}.bin").open("wb") as file:
            for _ in range(count // block_size):
                file.write(block)
    identity = SourceIdentity("", "", False, counts, CLASS_NAMES, records.IMAGE_SIZE)
    return ingest(Source(identity, folder), folder)


def ingest(source: "Source", folder: Path) -> float:
    """Ingests a prepared source into the folder with the default settings; returns the seconds."""
    from tfx.dsl.components.base.base_beam_executor import BaseBeamExecutor
    from tfx.types import standard_artifacts

    from components.example_gen.component import ImageExampleGen
    from pipeline.config.settings import PipelineConfig
    from pipeline.runners.beam import arguments

    config, examples = PipelineConfig(), standard_artifacts.Examples()
    examples.uri = str(folder / "examples")
    context = BaseBeamExecutor.Context(arguments(config.beam), tmp_dir=str(folder / "tmp"), unique_id="1")
    started = time.perf_counter()
    parameters = {
        "input_base": str(source.folder),
        "image_folder": str(source.image_folder),
        "identity": source.identity.to_json(),
        "images_per_shard": config.ingest.images_per_shard,
        "max_bad_images": config.ingest.max_bad_images,
    }
    ImageExampleGen.EXECUTOR_SPEC.executor_class(context).Do({}, {"examples": [examples]}, parameters)
    return time.perf_counter() - started


if __name__ == "__main__":
    main()
