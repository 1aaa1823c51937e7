"""What this machine can do at most, measured beside what is compared with it."""

import os
from collections.abc import Mapping
from dataclasses import dataclass

import tensorflow as tf

from benchmarks.table import number
from benchmarks.timing import Turn, medians, repeated

SIDE = 2048  # of the square matrices that are multiplied
COPIED_BYTES = 256 * 2**20  # of the array that is copied; larger than any cache
PRECISIONS = {"float32": tf.float32, "mixed_bfloat16": tf.bfloat16}  # of the products, by Keras policy

_PRODUCT, _COPY = "product ", "copy"  # names of turns


@dataclass(frozen=True)
class Limits:
    """Rates that no program on this machine passes, but for data that stays in a cache."""

    products: dict[str, float]  # floating-point operations a second of a matrix product, by Keras policy
    bandwidth: float  # bytes a second, read and written

    def seconds(self, flops: float, moved: float, precision: str) -> float:
        """Returns the least time for `flops` of matrix products in `precision` and `moved` bytes."""
        return max(flops / self.products[precision], moved / self.bandwidth)

    def note(self) -> str:
        """Returns a sentence that tells the limits."""
        rates = " and ".join(f"{number(rate / 1e9)} GFLOP/s in {name}" for name, rate in self.products.items())
        return (
            f"Limits of this machine, measured in turn with the rows ({device()}): matrix products of {SIDE} x {SIDE} "
            f"{rates}; memory {number(self.bandwidth / 1e9)} GB/s, read and written, over {COPIED_BYTES >> 20} MiB."
        )


def has_gpu() -> bool:
    """Returns whether TensorFlow computes on a GPU here; XLA then compiles training."""
    return bool(tf.config.list_physical_devices("GPU"))


def device() -> str:
    """Returns what the benchmarks run on."""
    if has_gpu():
        gpus = tf.config.list_physical_devices("GPU")
        return tf.config.experimental.get_device_details(gpus[0]).get("device_name", gpus[0].name)
    return f"{len(os.sched_getaffinity(0))} CPU cores"


def probes() -> dict[str, Turn]:
    """Returns the turns that measure the limits; `limits` reads their figures."""
    source = tf.zeros(COPIED_BYTES // 4)
    copy = tf.function(lambda x: x + 1.0)
    turns = {_COPY: repeated(lambda: copy(source))}
    for name, dtype in PRECISIONS.items():
        turns[_PRODUCT + name] = repeated(_product(dtype))
    return turns


def limits(figures: Mapping[str, list[float]]) -> Limits:
    """Returns the limits from what `interleave` measured of turns among which were the `probes`."""
    seconds = medians(figures)
    return Limits(
        {name: 2 * SIDE**3 / seconds[_PRODUCT + name] for name in PRECISIONS}, 2 * COPIED_BYTES / seconds[_COPY]
    )


def _product(dtype):
    matrix = tf.cast(tf.random.stateless_normal((SIDE, SIDE), (0, 0)), dtype)
    return tf.function(lambda: tf.matmul(matrix, matrix))
