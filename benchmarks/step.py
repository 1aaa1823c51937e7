"""Images a second of the whole train loop, beside the Keras example's; and where the time of our step goes."""

import dataclasses
import tempfile

import tensorflow as tf

from benchmarks import flops, machine, parts
from benchmarks.keras_example import DROP_PATH, DROPOUT
from benchmarks.records import write_records
from benchmarks.table import Table, number, percent
from benchmarks.timing import interleave, medians, ratio
from benchmarks.train_loop import SCHEDULE, example_turn, train_turn
from shiftvit.config import ExperimentConfig
from shiftvit.train import compile_model, resolve_precision

_EXAMPLE = "Keras example, float32"


def run(config: ExperimentConfig, seconds: float) -> list[Table]:
    """Measures the train loop, then its parts, each for about so many seconds."""
    config = _with(config, train={"precision": resolve_precision(config.train.precision)})
    with tempfile.TemporaryDirectory() as folder:
        patterns = write_records(folder)
        ours = compile_model(config, SCHEDULE)
        return [compare(config, ours, patterns, seconds), parts.breakdown(config, ours, patterns, seconds)]


def compare(config: ExperimentConfig, ours: tf.keras.Model, patterns: list[str], seconds: float) -> Table:
    """Returns the table of train loops side by side."""
    precisions, turns = {_EXAMPLE: "float32"}, {_EXAMPLE: example_turn(config)}
    for name, variant in variants(config).items():
        model = ours if variant == config else compile_model(variant, SCHEDULE)
        precisions[name], turns[name] = variant.train.precision, train_turn(model, variant, patterns)
    figures = interleave("train loop", turns | machine.probes(), seconds)
    limits, per_image, work = machine.limits(figures), medians(figures), flops.training(config.model)
    table = Table(
        f"Train loop, {_describe(config)}",
        ("", "images/s", "times the example", "GFLOP/s", "of the matrix-product rate"),
        notes=(
            f"{number(work / 1e9)} GFLOP of matrix products for each image, forward and backward; the "
            "example's lack those of the head.",
            limits.note(),
        ),
    )
    for row, precision in precisions.items():
        rate = work / per_image[row]
        table.add(
            row,
            number(1 / per_image[row]),
            f"{ratio(figures, _EXAMPLE, row):.2f}",
            number(rate / 1e9),
            percent(rate / limits.products[precision]),
        )
    return table


def variants(config: ExperimentConfig) -> dict[str, ExperimentConfig]:
    """Returns what of ours is compared: in float32, as `config` says, and as regularised as the example is."""
    plain = _with(config, train={"precision": "float32"})
    dropping = _with(config, model={"dropout": DROPOUT, "drop_path": DROP_PATH})
    name = f"ours, {config.train.precision}"
    return {
        "ours, float32": plain,
        name: config,
        f"{name}, dropout {DROPOUT} and drop path {DROP_PATH}": dropping,
    }


def _with(config: ExperimentConfig, **groups: dict[str, object]) -> ExperimentConfig:
    changed = {name: dataclasses.replace(getattr(config, name), **values) for name, values in groups.items()}
    return dataclasses.replace(config, **changed)


def _describe(config: ExperimentConfig) -> str:
    model, size = config.model, config.model.image_size
    dims, depths = (", ".join(map(str, values)) for values in (model.dims, model.depths))
    return (
        f"{size} x {size}, patch {model.patch_size}, channels {dims}, depths {depths}, batch {config.train.batch_size}"
    )
