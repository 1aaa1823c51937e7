"""Measures the limits of this machine: rates of matrix products, and memory bandwidth (a roofline model)."""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import tensorflow as tf

from benchmarks.table import number
from benchmarks.timing import Turn, medians, repeated

SIDE = 2048  # of the multiplied square matrices
COPIED_BYTES = 256 * 2**20  # size of the copied array; larger than any cache
PRECISIONS = {"float32": tf.float32, "mixed_bfloat16": tf.bfloat16}  # of the products, by Keras policy
ROOFLINE = (
    "The limit is the longer of two times: the matrix products at the measured rate of matrix products, and the bytes "
    "that must be read and written at the memory bandwidth. Data that stays in a cache can beat it."
)

_PRODUCT, _COPY = "product ", "copy"  # names of turns


@dataclass(frozen=True)
class Limits:
    """Peak rates of this machine. Only data that stays in a cache can exceed the bandwidth."""

    products: dict[str, float]  # floating-point operations per second, by Keras policy
    bandwidth: float  # bytes per second, read and written

    def seconds(self, flops: float, moved: float, precision: str) -> float:
        """Returns the least seconds for matrix products of `flops` operations, and `moved` bytes."""
        return max(flops / self.products[precision], moved / self.bandwidth)

    def note(self) -> str:
        """Returns the limits as a sentence."""
        rates = " and ".join(f"{number(rate / 1e9)} GFLOP/s in {name}" for name, rate in self.products.items())
        return (
            f"Limits of this machine ({device()}), measured alternately with the rows: {SIDE} x {SIDE} matrix products "
            f"at {rates}; memory at {number(self.bandwidth / 1e9)} GB/s, reads and writes of {COPIED_BYTES >> 20} MiB."
        )


def has_gpu() -> bool:
    """Returns True if TensorFlow sees a GPU; training is then compiled with XLA."""
    return bool(tf.config.list_physical_devices("GPU"))


def device() -> str:
    """Returns for example `NVIDIA H100` or `2 CPU cores`."""
    if gpus := tf.config.list_physical_devices("GPU"):
        return tf.config.experimental.get_device_details(gpus[0]).get("device_name", gpus[0].name)
    return f"{len(os.sched_getaffinity(0))} CPU cores"


def probes() -> dict[str, Turn]:
    """Returns the turns that measure the limits; pass their figures to `limits`."""
    source = tf.zeros(COPIED_BYTES // 4)
    copy = tf.function(lambda x: x + 1.0)
    products = {_PRODUCT + name: repeated(_product(dtype)) for name, dtype in PRECISIONS.items()}
    return {_COPY: repeated(lambda: copy(source))} | products


def limits(figures: Mapping[str, list[float]]) -> Limits:
    """Returns the limits from the figures that `interleave` measured for the `probes`."""
    seconds = medians(figures)
    products = {name: 2 * SIDE**3 / seconds[_PRODUCT + name] for name in PRECISIONS}
    return Limits(products, 2 * COPIED_BYTES / seconds[_COPY])


def _product(dtype: tf.DType) -> Callable[[], tf.Tensor]:
    matrix = tf.cast(tf.random.stateless_normal((SIDE, SIDE), (0, 0)), dtype)
    return tf.function(lambda: tf.matmul(matrix, matrix))
