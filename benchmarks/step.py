"""Measures the train loop in images per second, next to the Keras example's, and breaks down the time of our step."""

import dataclasses
import tempfile
from typing import Any

import tensorflow as tf

from benchmarks import flops, machine, parts
from benchmarks.keras_example import DROP_PATH, DROPOUT
from benchmarks.records import DATASET, write_records
from benchmarks.table import Table, number, percent
from benchmarks.timing import interleave, medians, ratio
from benchmarks.train_loop import SCHEDULE, example_turn, train_turn
from shiftvit.config import ExperimentConfig
from shiftvit.train import compile_model, resolve_precision

_EXAMPLE = "Keras example, float32"


def run(config: ExperimentConfig, seconds: float) -> list[Table]:
    """Measures the train loop, then the parts of its step, each for about `seconds`."""
    config = _with(config, train={"precision": resolve_precision(config.train.precision)})
    with tempfile.TemporaryDirectory() as folder:
        patterns = write_records(folder)
        ours = compile_model(config, DATASET, SCHEDULE)
        return [compare(config, ours, patterns, seconds), parts.breakdown(config, ours, patterns, seconds)]


def compare(config: ExperimentConfig, ours: tf.keras.Model, patterns: list[str], seconds: float) -> Table:
    """Returns the table that compares the train loops."""
    precisions, turns = {_EXAMPLE: "float32"}, {_EXAMPLE: example_turn(config)}
    for name, variant in variants(config).items():
        model = ours if variant == config else compile_model(variant, DATASET, SCHEDULE)
        precisions[name], turns[name] = variant.train.precision, train_turn(model, variant, patterns)
    figures = interleave("train loop", turns | machine.probes(), seconds)
    limits, per_image, work = machine.limits(figures), medians(figures), flops.training(config.model)
    table = Table(
        f"Train loop, {_describe(config)}",
        ("", "images/s", "times the example", "GFLOP/s", "of the matrix-product rate"),
        notes=(
            f"{number(work / 1e9)} GFLOP of matrix products per image, forward and backward; the example has no head "
            "and needs slightly less.",
            limits.note(),
        ),
    )
    for row, precision in precisions.items():
        rate, faster = work / per_image[row], f"{ratio(figures, _EXAMPLE, row):.2f}"
        of_limit = percent(rate / limits.products[precision])
        table.add(row, number(1 / per_image[row]), faster, number(rate / 1e9), of_limit)
    return table


def variants(config: ExperimentConfig) -> dict[str, ExperimentConfig]:
    """Returns our rows of the table by name: in float32, as configured, and with the example's regularisation.

    The example trains with dropout, which costs time; only the last row compares like with like.
    """
    name = f"ours, {config.train.precision}"
    regularised = _with(config, model={"dropout": DROPOUT, "drop_path": DROP_PATH})
    return {
        "ours, float32": _with(config, train={"precision": "float32"}),
        name: config,
        f"{name}, dropout {DROPOUT} and drop path {DROP_PATH}": regularised,
    }


def _with(config: ExperimentConfig, **groups: dict[str, Any]) -> ExperimentConfig:
    changed = {name: dataclasses.replace(getattr(config, name), **values) for name, values in groups.items()}
    return dataclasses.replace(config, **changed)


def _describe(config: ExperimentConfig) -> str:
    model, size, batch = config.model, config.model.image_size, config.train.batch_size
    dims, depths = (", ".join(map(str, values)) for values in (model.dims, model.depths))
    return f"{size} x {size}, patch {model.patch_size}, channels {dims}, depths {depths}, batch {batch}"
