"""Measures single layers, forward and backward: ours next to a straightforward TensorFlow implementation."""

import functools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import tensorflow as tf

from benchmarks import flops, machine
from benchmarks.derivatives import forward_backward
from benchmarks.table import Table, number, percent
from benchmarks.timing import Turn, interleave, medians, ratio, repeated
from shiftvit.config import ExperimentConfig, ModelConfig
from shiftvit.fused import ACTIVATIONS, NORM_EPSILON, fused_bias_activation
from shiftvit.layers import DIRECTIONS, GroupNorm1, PatchConv, Shift

Function = Callable[[tf.Tensor], tf.Tensor]


@dataclass(frozen=True)
class Comparison:
    """Two implementations of a layer at one input shape."""

    name: str
    shape: tuple[int, ...]
    plain: Function
    ours: Function
    moved: int  # least number of values read and written, forward and backward
    flops: int = 0  # of matrix products, forward and backward
    plain_variables: Sequence[tf.Variable] = ()
    variables: Sequence[tf.Variable] = ()

    def turns(self, precision: str) -> dict[str, Turn]:
        """Returns a turn for each implementation, by the names that `keys` returns."""
        plain, ours = self.keys(precision)
        dtype, xla = machine.PRECISIONS[precision], machine.has_gpu()
        return {
            plain: repeated(forward_backward(self.plain, self.shape, dtype, self.plain_variables, jit_compile=xla)),
            ours: repeated(forward_backward(self.ours, self.shape, dtype, self.variables, jit_compile=xla)),
        }

    def keys(self, precision: str) -> tuple[str, str]:
        """Returns the names of the two turns: plain, ours."""
        return f"{self.name} {precision} plain", f"{self.name} {precision} ours"


def run(config: ExperimentConfig, seconds: float) -> list[Table]:
    """Measures the layers at the shapes of the first stage for about `seconds`."""
    batch = config.train.batch_size
    rows = [(each, name) for name in machine.PRECISIONS for each in comparisons(config.model, batch, name)]
    turns: dict[str, Turn] = {}
    for comparison, precision in rows:
        turns |= comparison.turns(precision)
    figures = interleave("forward and backward", turns | machine.probes(), seconds)
    limits, spent = machine.limits(figures), medians(figures)
    table = Table(
        f"Single layers, forward and backward, batch {batch}",
        ("", "shape", "precision", "plain, ms", "ours, ms", "times faster", "limit, ms", "of the limit"),
        notes=(machine.ROOFLINE, limits.note()),
    )
    for comparison, precision in rows:
        plain, ours = comparison.keys(precision)
        moved = comparison.moved * machine.PRECISIONS[precision].size
        least = limits.seconds(comparison.flops, moved, precision)
        shape = " x ".join(map(str, comparison.shape))
        times = (number(1e3 * spent[key]) for key in (plain, ours))
        faster = f"{ratio(figures, plain, ours):.2f}"
        table.add(comparison.name, shape, precision, *times, faster, number(1e3 * least), percent(least / spent[ours]))
    return [table]


def comparisons(config: ModelConfig, batch: int, precision: str) -> list[Comparison]:
    """Returns the compared layers, at the shapes of the first stage of `config`."""
    side, channels = config.image_size // config.patch_size, config.dims[0]
    shape = (batch, side, side, channels)
    policy = tf.keras.mixed_precision.Policy(precision)
    return [
        _shifts(shape, config, policy),
        _norms(shape),
        _activations((batch * side * side, int(channels * config.mlp_ratio)), config.activation),
        _merges(shape, policy),
    ]


def _shifts(shape: tuple[int, ...], config: ModelConfig, policy: tf.keras.mixed_precision.Policy) -> Comparison:
    plain = functools.partial(plain_shift, n_div=config.n_div, pixels=config.shift_pixels)
    ours = Shift(config.n_div, config.shift_pixels, dtype=policy)
    return Comparison("shift", shape, plain, ours, 4 * math.prod(shape))


def _norms(shape: tuple[int, ...]) -> Comparison:
    gamma, beta = tf.Variable(tf.ones(shape[-1])), tf.Variable(tf.zeros(shape[-1]))
    plain, ours = functools.partial(plain_norm, gamma=gamma, beta=beta), GroupNorm1(fused=True)
    ours(tf.zeros((1, *shape[1:])))  # creates its variables
    moved, own = 5 * math.prod(shape), ours.trainable_variables
    return Comparison("norm", shape, plain, ours, moved, plain_variables=(gamma, beta), variables=own)


def _activations(shape: tuple[int, ...], activation: str) -> Comparison:
    bias = tf.Variable(tf.zeros(shape[-1]))
    return Comparison(
        f"bias and {activation}",
        shape,
        lambda x: ACTIVATIONS[activation](tf.nn.bias_add(x, tf.cast(bias, x.dtype))),
        lambda x: fused_bias_activation(x, tf.cast(bias, x.dtype), activation),
        5 * math.prod(shape),
        plain_variables=(bias,),
        variables=(bias,),
    )


def _merges(shape: tuple[int, ...], policy: tf.keras.mixed_precision.Policy) -> Comparison:
    batch, side, _, channels = shape
    plain = tf.keras.layers.Conv2D(2 * channels, 2, strides=2, use_bias=False, dtype=policy)
    ours = PatchConv(2 * channels, 2, use_bias=False, dtype=policy)
    for layer in (plain, ours):
        layer(tf.zeros((1, *shape[1:]), policy.compute_dtype))  # creates its variables
    rows = batch * (side // 2) ** 2
    moved = 3 * math.prod(shape) + 2 * rows * 2 * channels
    products = 3 * flops.product(rows, 4 * channels, 2 * channels)
    plain_variables, variables = plain.trainable_variables, ours.trainable_variables
    return Comparison("merge", shape, plain, ours, moved, products, plain_variables, variables)


def plain_shift(x: tf.Tensor, n_div: int, pixels: int) -> tf.Tensor:
    """The shift as published: splits x (N, H, W, C) into groups, pads and crops four of them, and concatenates."""
    group = x.shape[-1] // n_div
    *moving, rest = tf.split(x, [group] * len(DIRECTIONS) + [x.shape[-1] - group * len(DIRECTIONS)], axis=-1)
    height, width = x.shape[1:3]
    shifted = []
    for part, (row, column) in zip(moving, DIRECTIONS, strict=True):
        padded = tf.pad(part, ((0, 0), (pixels, pixels), (pixels, pixels), (0, 0)))
        top, left = pixels + row * pixels, pixels + column * pixels
        shifted.append(padded[:, top : top + height, left : left + width])
    return tf.concat([*shifted, rest], axis=-1)


def plain_norm(x: tf.Tensor, gamma: tf.Variable, beta: tf.Variable) -> tf.Tensor:
    """Group norm with one group, computed in float32, of x (N, H, W, C)."""
    values = tf.cast(x, tf.float32)
    mean, variance = tf.nn.moments(values, axes=(1, 2, 3), keepdims=True)
    return tf.cast(tf.nn.batch_normalization(values, mean, variance, beta, gamma, NORM_EPSILON), x.dtype)
