"""Measures the latency of the exported model, next to the network's forward pass alone."""

import functools
import tempfile
from collections.abc import Callable
from statistics import median

import numpy as np
import tensorflow as tf

from benchmarks import flops, machine
from benchmarks.records import DATASET, random_pngs
from benchmarks.table import Table, number, percent
from benchmarks.timing import Turn, interleave, ratio, stopwatch
from shiftvit.config import ExperimentConfig
from shiftvit.export import IMAGE_BYTES_INPUT, SERVING_DEFAULT, export, load
from shiftvit.model import build_model, build_network

BATCH_SIZES = (1, 8, 64)
_CALLS = 20  # per turn


def run(config: ExperimentConfig, seconds: float) -> list[Table]:
    """Measures the exported, untrained model of `config` for about `seconds`."""
    model = build_model(config.model, DATASET)
    with tempfile.TemporaryDirectory() as folder:
        export(model, config.model, DATASET, folder)
        serve = load(folder).signatures[SERVING_DEFAULT]
        return [_measure(config, serve, seconds)]


def _measure(config: ExperimentConfig, serve: Callable, seconds: float) -> Table:
    network = build_network(config.model)
    forward, size = tf.function(lambda x: network(x, training=False)), config.model.image_size
    latencies: dict[str, list[float]] = {}
    calls: dict[str, Callable] = {}
    for batch in BATCH_SIZES:
        images = tf.constant(random_pngs(batch))
        pixels = tf.random.stateless_normal((batch, size, size, 3), (0, 0))
        calls[f"export {batch}"] = functools.partial(serve, **{IMAGE_BYTES_INPUT: images})
        calls[f"network {batch}"] = functools.partial(forward, pixels)
    turns = {name: _collected(call, latencies.setdefault(name, [])) for name, call in calls.items()}
    figures = interleave("latency", turns | machine.probes(), seconds)
    limits = machine.limits(figures)

    table = Table(
        "Latency of the exported model, float32",
        ("images", "p50, ms", "p99, ms", "network p50, ms", "network p99, ms", "of the network", "products, ms"),
        notes=(
            "PNG files in, class names and probabilities out. Two limits, measured in the same process: the network's "
            "forward pass alone, and its matrix products alone.",
            limits.note(),
        ),
    )
    for batch in BATCH_SIZES:
        names = f"export {batch}", f"network {batch}"
        times = [number(1e3 * float(np.percentile(latencies[name], part))) for name in names for part in (50, 99)]
        products = batch * flops.forward(config.model) / limits.products["float32"]
        table.add(str(batch), *times, percent(ratio(figures, names[1], names[0])), number(1e3 * products))
    return table


def _collected(call: Callable[[], object], times: list[float]) -> Turn:
    """Returns a turn that takes the median of several calls, and appends all their seconds after the warm-up turn."""
    warm = False

    def turn() -> float:
        nonlocal warm
        spent = [stopwatch(call) for _ in range(_CALLS)]
        if warm:
            times.extend(spent)
        warm = True
        return median(spent)

    return turn
