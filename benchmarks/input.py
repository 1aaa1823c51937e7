"""Images a second of the input pipeline alone, as each augmentation is added to those before it."""

import dataclasses
import tempfile
import time
from collections.abc import Iterator

import tensorflow as tf

from benchmarks import machine
from benchmarks.records import write_records
from benchmarks.table import Table, number, percent
from benchmarks.timing import Turn, interleave, medians
from shiftvit.config import DataConfig, ExperimentConfig
from shiftvit.features import IMAGE_BYTES
from shiftvit.input_pipeline import training_batches

_TURN = 1.0  # seconds to draw for before measuring, so that tf.data tunes itself, and again to measure

PLAIN = DataConfig(crop_padding=0, flip=False)
ADDED = {
    "crop and flip": {"crop_padding": 4, "flip": True},
    "RandAugment, 2 operations": {"randaugment_ops": 2},
    "mixup or cutmix, 0.5": {"mixup": 0.25, "cutmix": 0.25},
    "erasing, 0.25": {"erasing": 0.25},
}


def run(config: ExperimentConfig, seconds: float) -> list[Table]:
    """Measures the pipeline at the batch size of `config` for about so many seconds."""
    batch = config.train.batch_size
    with tempfile.TemporaryDirectory() as folder:
        patterns, data = write_records(folder), PLAIN
        turns = {"raw": loading_turn(training_batches(patterns, batch, data, 0, augmented=False), batch)}
        for name, settings in ADDED.items():
            data = dataclasses.replace(data, **settings)
            turns[f"+ {name}"] = loading_turn(training_batches(patterns, batch, data, 0), batch)
        figures = interleave("loading", turns | machine.probes(), seconds)
    limits, per_image = machine.limits(figures), medians(figures)
    table = Table(
        f"Input pipeline, batch {batch}",
        ("", "images/s", "µs/image", "added µs", "limit, images/s", "of the limit"),
        notes=(
            f"The limit: the {IMAGE_BYTES:,} bytes of an image read once and written once by the batching, and once "
            "more by each augmentation.",
            limits.note(),
        ),
    )
    before = 0.0
    for passes, name in enumerate(turns, start=1):
        most, spent = limits.bandwidth / (2 * IMAGE_BYTES * passes), per_image[name]
        micros = number(1e6 * spent), number(1e6 * (spent - before))
        table.add(name, number(1 / spent), *micros, number(most), percent(1 / spent / most))
        before = spent
    return [table]


def loading_turn(data: tf.data.Dataset, batch: int) -> Turn:
    """Returns a turn that draws batches from `data`, in seconds an image.

    Each turn starts the pipeline anew and stops it at its end: between turns it would go on filling its buffers, which
    would slow the turns of others down and make its own next one look fast.
    """

    def turn() -> float:
        batches = iter(data)
        next(batches)  # the whole data is read
        _draw(batches)
        seconds, drawn = _draw(batches)
        return seconds / (drawn * batch)

    return turn


def _draw(batches: Iterator) -> tuple[float, int]:
    """Draws for the time of a turn; returns the seconds and how many batches there were."""
    drawn, started = 0, time.perf_counter()
    while not drawn or time.perf_counter() - started < _TURN:
        next(batches)
        drawn += 1
    return time.perf_counter() - started, drawn
