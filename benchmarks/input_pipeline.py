"""Measures the input pipeline alone, in images per second, as augmentations are added one by one."""

import dataclasses
import tempfile
import time
from collections.abc import Iterator
from typing import Any

import tensorflow as tf

from benchmarks import machine
from benchmarks.records import DATASET, IMAGE_BYTES, write_records
from benchmarks.table import Table, number, percent
from benchmarks.timing import Turn, interleave, medians
from shiftvit.config import DataConfig, ExperimentConfig
from shiftvit.input_pipeline import training_batches

_TURN = 1.0  # seconds of warm-up, in which tf.data tunes itself, and again of measuring

NO_AUGMENTATION = DataConfig(crop_padding=0, flip=False)
AUGMENTATIONS: dict[str, dict[str, Any]] = {
    "crop and flip": {"crop_padding": 4, "flip": True},
    "RandAugment, 2 operations": {"randaugment_ops": 2},
    "mixup or cutmix, 0.5": {"mixup": 0.25, "cutmix": 0.25},
    "erasing, 0.25": {"erasing": 0.25},
}


def run(config: ExperimentConfig, seconds: float) -> list[Table]:
    """Measures the pipeline at the batch size of `config` for about `seconds`."""
    batch = config.train.batch_size
    with tempfile.TemporaryDirectory() as folder:
        patterns, data = write_records(folder), NO_AUGMENTATION
        turns = {"raw": loading_turn(training_batches(patterns, DATASET, batch, data, 0, augmented=False), batch)}
        for name, settings in AUGMENTATIONS.items():
            data = dataclasses.replace(data, **settings)
            turns[f"+ {name}"] = loading_turn(training_batches(patterns, DATASET, batch, data, 0), batch)
        figures = interleave("loading", turns | machine.probes(), seconds)
    limits, per_image = machine.limits(figures), medians(figures)
    table = Table(
        f"Input pipeline, batch {batch}",
        ("", "images/s", "µs/image", "added µs", "limit, images/s", "of the limit"),
        notes=(
            f"The limit: batching reads and writes the {IMAGE_BYTES:,} bytes of an image once, and each augmentation "
            "once more, at the memory bandwidth.",
            limits.note(),
        ),
    )
    previous = 0.0
    for passes, name in enumerate(turns, start=1):
        limit, spent = limits.bandwidth / (2 * IMAGE_BYTES * passes), per_image[name]
        micros = number(1e6 * spent), number(1e6 * (spent - previous))
        table.add(name, number(1 / spent), *micros, number(limit), percent(1 / spent / limit))
        previous = spent
    return [table]


def loading_turn(data: tf.data.Dataset, batch: int) -> Turn:
    """Returns a turn that iterates over `data`, in seconds per image.

    Each turn creates the iterator anew. One that lived on would fill its buffers between turns, which would slow down
    the other turns and make its own next turn look fast.
    """

    def turn() -> float:
        batches = iter(data)
        next(batches)  # fills the shuffle buffer
        _iterate(batches)
        seconds, count = _iterate(batches)
        return seconds / (count * batch)

    return turn


def _iterate(batches: Iterator) -> tuple[float, int]:
    """Takes batches for the time of a turn; returns the seconds and the number of batches."""
    count, started = 0, time.perf_counter()
    while not count or time.perf_counter() - started < _TURN:
        next(batches)
        count += 1
    return time.perf_counter() - started, count
