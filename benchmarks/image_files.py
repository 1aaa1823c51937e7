"""Measures ingestion of image files next to Keras: `python -m benchmarks.image_files FOLDER`, with class folders.

Keras' `image_dataset_from_directory` reads, decodes and resizes the same files, and writes nothing. Each row runs in a
process of its own, so that its peak memory is its own.
"""

import argparse
import statistics
import sys
import time
from pathlib import Path

from benchmarks.ingestion import Work, in_a_process, ingest
from benchmarks.table import Table, number

_SIZE = 64  # pixels a side of the resized images
_BATCH = 128


def main() -> None:
    """Measures and prints the table."""
    parser = argparse.ArgumentParser(
        "python -m benchmarks.image_files", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path, metavar="FOLDER", help="a folder with a folder of images for each class")
    parser.add_argument("--rounds", type=int, default=3, metavar="N", help="to take medians of (default: %(default)s)")
    options = parser.parse_args()
    if not options.folder.is_dir():
        parser.error(f"{options.folder}: no such folder; give one with a folder of images for each class")
    print(_measure_all(options.folder.absolute(), options.rounds).render())


def _measure_all(folder: Path, rounds: int) -> Table:
    images = sum(1 for _ in folder.glob("*/*"))
    rows: dict[str, tuple[Work, int]] = {
        "Keras, image_dataset_from_directory": (_read_with_keras, images),
        "ours, into records": (_ingest, images),
        "ours, twice as many": (_ingest_twice, 2 * images),
    }
    figures: dict[str, list[tuple[float, int]]] = {name: [] for name in rows}
    for _ in range(rounds):
        for name, (work, count) in rows.items():
            figures[name].append(in_a_process(work, folder, count))
            print(f"{name}: {figures[name][-1]}", file=sys.stderr)
    headings = ("", "images", "seconds", "images/s", "times Keras", "peak memory, MiB")
    table = Table(f"Ingestion of image files, to {_SIZE} x {_SIZE}, local runner", headings)
    reference = [images / seconds for seconds, _ in next(iter(figures.values()))]  # of each round
    for name, (_, count) in rows.items():
        rates = [count / seconds for seconds, _ in figures[name]]
        ratio = statistics.median(rate / other for rate, other in zip(rates, reference, strict=True))
        seconds, peak = map(statistics.median, zip(*figures[name], strict=True))
        rate = statistics.median(rates)
        table.add(name, number(count), number(seconds), number(rate), f"{ratio:.2f}", number(peak / 2**20))
    return table


def _read_with_keras(folder: Path, images: int, scratch: Path) -> float:
    import tensorflow as tf

    started = time.perf_counter()
    dataset = tf.keras.utils.image_dataset_from_directory(
        folder, image_size=(_SIZE, _SIZE), batch_size=_BATCH, shuffle=False, crop_to_aspect_ratio=True
    )
    count = sum(len(labels) for _, labels in dataset.as_numpy_iterator())
    assert count == images
    return time.perf_counter() - started


def _ingest(folder: Path, images: int, scratch: Path) -> float:
    from pipeline.config.settings import PipelineConfig
    from pipeline.sources.prepare import prepare
    from shiftvit.config import DataConfig

    started = time.perf_counter()
    config = PipelineConfig(source=f"folder:{folder}", workspace=str(scratch), data=DataConfig(image_size=_SIZE))
    source = prepare(config)
    seconds = time.perf_counter() - started
    assert sum(source.identity.counts.values()) == images
    return seconds + ingest(source, scratch)


def _ingest_twice(folder: Path, images: int, scratch: Path) -> float:
    """Ingests each file twice, through links."""
    for file in folder.glob("*/*"):
        for copy in "12":
            link = scratch / "images" / file.parent.name / f"{copy}{file.name}"
            link.parent.mkdir(parents=True, exist_ok=True)
            link.symlink_to(file)
    return _ingest(scratch / "images", images, scratch)


if __name__ == "__main__":
    main()
