"""How long the exported model takes to answer, beside the network's forward pass alone."""

import functools
import tempfile
from collections.abc import Callable
from statistics import median

import numpy as np
import tensorflow as tf

from benchmarks import flops, machine
from benchmarks.records import random_examples
from benchmarks.table import Table, number, percent
from benchmarks.timing import Turn, interleave, ratio, stopwatch
from shiftvit.config import ExperimentConfig
from shiftvit.export import IMAGE_BYTES_INPUT, SERVING_DEFAULT, export
from shiftvit.features import CLASS_NAMES
from shiftvit.model import build_model, build_network

BATCHES = (1, 8, 64)
_CALLS = 20  # in a turn


def run(config: ExperimentConfig, seconds: float) -> list[Table]:
    """Measures the exported model of `config`, not trained, for about so many seconds."""
    model = build_model(config.model)
    with tempfile.TemporaryDirectory() as folder:
        export(model, config.model, CLASS_NAMES, folder)
        serve = tf.saved_model.load(folder).signatures[SERVING_DEFAULT]
        return [_measure(config, serve, seconds)]


def _measure(config: ExperimentConfig, serve, seconds: float) -> Table:
    network = build_network(config.model)
    forward, size = tf.function(lambda x: network(x, training=False)), config.model.image_size
    answers, calls = {}, {}
    for batch in BATCHES:
        pictures = tf.constant([tf.io.encode_png(image).numpy() for image in random_examples(batch)[0]])
        pixels = tf.random.stateless_normal((batch, size, size, 3), (0, 0))
        calls[f"export {batch}"] = functools.partial(serve, **{IMAGE_BYTES_INPUT: pictures})
        calls[f"network {batch}"] = functools.partial(forward, pixels)
    turns = {name: _collected(call, answers.setdefault(name, [])) for name, call in calls.items()}
    figures = interleave("answers", turns | machine.probes(), seconds)
    limits = machine.limits(figures)

    table = Table(
        "Latency of the exported model, float32",
        ("images", "p50, ms", "p99, ms", "network p50, ms", "network p99, ms", "of the network", "products, ms"),
        notes=(
            "PNG files in, class names and probabilities out. The limit: the network's forward pass alone, in the same "
            "process, and below it that of its matrix products.",
            limits.note(),
        ),
    )
    for batch in BATCHES:
        export_name, network_name = f"export {batch}", f"network {batch}"
        times = [
            number(1e3 * np.percentile(answers[name], part))
            for name in (export_name, network_name)
            for part in (50, 99)
        ]
        products = batch * flops.forward(config.model) / limits.products["float32"]
        table.add(str(batch), *times, percent(ratio(figures, network_name, export_name)), number(1e3 * products))
    return table


def _collected(call: Callable[[], object], times: list[float]) -> Turn:
    """Returns a turn of the median of some calls; each call after those of the first turn is added to `times`."""
    warm = False

    def turn() -> float:
        nonlocal warm
        spent = [stopwatch(call) for _ in range(_CALLS)]
        if warm:
            times.extend(spent)
        warm = True
        return median(spent)

    return turn
