"""Breaks down the time of a training step: times each kind of part alone, at its shapes, next to its limit."""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import tensorflow as tf

from benchmarks import flops, machine
from benchmarks.derivatives import forward_backward
from benchmarks.input_pipeline import loading_turn
from benchmarks.records import DATASET, IMAGE_BYTES, IMAGE_SHAPE
from benchmarks.table import Table, number, percent
from benchmarks.timing import Turn, interleave, medians, repeated
from benchmarks.train_loop import train_turn
from shiftvit.config import ExperimentConfig
from shiftvit.fused import fused_bias_activation
from shiftvit.input_pipeline import training_batches
from shiftvit.layers import PatchConv, ShiftBlock
from shiftvit.loss import make_metrics
from shiftvit.model import Normalise, build_network
from shiftvit.strategy import make_strategy
from shiftvit.train import resolve_precision

_STEP = "step"


@dataclass(frozen=True)
class Part:
    """One piece of the work of a step."""

    kind: str
    shape: tuple[int, ...]
    make: Callable[[], Turn]
    moved: float  # least number of bytes read and written
    flops: float = 0.0  # of matrix products
    precision: str = "float32"  # of the matrix products

    @property
    def key(self) -> str:
        """Equal for parts that take the same time, so that each is timed only once."""
        return f"{self.kind} {self.shape}"


def breakdown(config: ExperimentConfig, ours: tf.keras.Model, patterns: list[str], seconds: float) -> Table:
    """Returns the table of the parts of a step.

    Args:
        config: of the training.
        ours: the model, compiled for `config`.
        patterns: of the TFRecord files to train on.
        seconds: how long to measure, about.
    """
    precision = resolve_precision(config.train.precision)
    parts = [*network_parts(config, precision), *other_parts(config, ours, patterns, precision)]
    turns = {key: part.make() for key, part in {part.key: part for part in parts}.items()}
    turns[_STEP] = train_turn(ours, config, patterns)
    figures = interleave("parts of a step", turns | machine.probes(), seconds)
    limits, spent = machine.limits(figures), medians(figures)

    table = Table(
        f"Where the time of a step goes, {precision}, batch {config.train.batch_size}",
        ("part, forward and backward", "times a step", "ms", "of the step", "limit, ms", "of the limit"),
        notes=(_METHOD, limits.note()),
    )
    step, total, total_limit = spent[_STEP] * config.train.batch_size, 0.0, 0.0
    for kind in dict.fromkeys(part.kind for part in parts):
        of_kind = [part for part in parts if part.kind == kind]
        took = sum(spent[part.key] for part in of_kind)
        limit = sum(limits.seconds(part.flops, part.moved, part.precision) for part in of_kind)
        _add(table, kind, str(len(of_kind)), took, step, limit)
        total, total_limit = total + took, total_limit + limit
    _add(table, "sum of the parts", "", total, step, total_limit)
    table.add("rest", "", number(1e3 * (step - total)), percent(1 - total / step), "", "")
    _add(table, "measured step", "1", step, step, total_limit)
    return table


_METHOD = (
    "Each part was timed alone and is counted as often as it occurs in a step; the rest is the time of the measured "
    f"step less their sum. {machine.ROOFLINE}"
)


def _add(table: Table, name: str, times: str, took: float, step: float, limit: float) -> None:
    table.add(name, times, number(1e3 * took), percent(took / step), number(1e3 * limit), percent(limit / took))


def network_parts(config: ExperimentConfig, precision: str) -> Iterator[Part]:
    """Yields the parts of each layer of the network, in order."""
    network, make = build_network(config.model, precision, fused=True), _PartMaker(config.train.batch_size, precision)
    for layer in network.layers:
        shape = tuple(layer.input.shape[1:])
        if isinstance(layer, ShiftBlock):
            yield from make.block(layer, shape)
        elif layer.name.endswith("norm"):
            yield make.norm(layer, shape)
        elif layer.name.endswith("activation"):
            yield make.part("activation", layer, shape, 5 * math.prod(shape))
        elif isinstance(layer, (PatchConv, tf.keras.layers.Conv2D)):
            yield make.patches(layer, shape, tuple(layer.output.shape[1:]))


class _PartMaker:
    """Creates the parts of network layers for one batch size and precision."""

    def __init__(self, batch: int, precision: str):
        self.batch, self.precision = batch, precision
        self.dtype = machine.PRECISIONS[precision]
        self.jit_compile = machine.has_gpu()

    def part(
        self,
        kind: str,
        function: Callable[[tf.Tensor], tf.Tensor],
        shape: tuple[int, ...],
        values: int,
        operations: int = 0,
        variables: Sequence[tf.Variable] = (),
        to_input: bool = True,
    ) -> Part:
        """Returns a part whose turn runs `function` forward and backward.

        Args:
            kind: row of the table.
            function: the work.
            shape: of its input, without the batch.
            values: least number of values read and written for one image.
            operations: of matrix products, for one image.
            variables: to differentiate by.
            to_input: whether to differentiate by the input as well.
        """

        def make() -> Turn:
            full = (self.batch, *shape)
            return repeated(forward_backward(function, full, self.dtype, variables, to_input, self.jit_compile))

        moved = self.batch * values * self.dtype.size
        return Part(kind, shape, make, moved, self.batch * operations, self.precision)

    def norm(self, layer: tf.keras.layers.Layer, shape: tuple[int, ...]) -> Part:
        """Returns a norm: 2 passes over the feature map forward, and 3 backward (map and gradient in, gradient out)."""
        variables = layer.trainable_variables
        return self.part("norm", lambda x: layer(x, training=True), shape, 5 * math.prod(shape), variables=variables)

    def patches(self, layer: tf.keras.layers.Layer, shape: tuple[int, ...], output: tuple[int, ...]) -> Part:
        """Returns a convolution of the stem, the first of which needs no gradient of its input, or a merge."""
        kind = "merge" if layer.name.startswith("merge") else "stem"
        to_input = layer.name not in ("stem", "stem0")
        kernel_rows = math.prod(layer.kernel.shape[:3])
        operations = flops.product(math.prod(output[:2]), kernel_rows, output[2]) * (3 if to_input else 2)
        values = math.prod(shape) * (3 if to_input else 2) + 2 * math.prod(output)
        return self.part(kind, layer, shape, values, operations, layer.trainable_variables, to_input)

    def block(self, block: ShiftBlock, shape: tuple[int, ...]) -> Iterator[Part]:
        """Yields the parts of a block."""
        mlp, (height, width, channels) = block.mlp, shape
        rows, maps, hidden = height * width, math.prod(shape), height * width * mlp.hidden
        yield self.part("shift", block.shift, shape, 4 * maps)
        yield self.norm(block.norm, shape)
        products = 3 * flops.product(rows, channels, mlp.hidden)
        yield self._product(rows, mlp.expand_kernel, None, 3 * maps + 2 * hidden, products)
        yield self._product(rows, mlp.project_kernel, mlp.project_bias, 3 * hidden + 2 * maps, products)
        bias = tf.Variable(tf.zeros(mlp.hidden))
        yield self.part(
            "bias and activation",
            lambda x: fused_bias_activation(tf.reshape(x, (-1, mlp.hidden)), tf.cast(bias, x.dtype), mlp.activation),
            (rows, mlp.hidden),
            5 * hidden,
            variables=(bias,),
        )
        if mlp.rate:
            for width, values in ((mlp.hidden, hidden), (channels, maps)):
                yield self.part("dropout", lambda x: mlp.dropout(x, training=True), (rows, width), 4 * values)
        kind = "sum and drop path" if block.drop_path.rate else "sum"
        yield self.part(kind, lambda x: x + block.drop_path(x, training=True), shape, 6 * maps)

    def _product(self, rows: int, kernel: tf.Variable, bias: tf.Variable | None, values: int, operations: int) -> Part:
        def function(x: tf.Tensor) -> tf.Tensor:
            y = tf.matmul(tf.reshape(x, (-1, x.shape[-1])), tf.cast(kernel, x.dtype))
            return y if bias is None else tf.nn.bias_add(y, tf.cast(bias, y.dtype))

        variables = [variable for variable in (kernel, bias) if variable is not None]
        return self.part("products of the MLPs", function, (rows, kernel.shape[0]), values, operations, variables)


def other_parts(config: ExperimentConfig, ours: tf.keras.Model, patterns: list[str], precision: str) -> Iterator[Part]:
    """Yields the parts outside the network's layers: pixels, head and loss, optimizer, input pipeline."""
    batch, size = config.train.batch_size, config.model.image_size
    yield Part("pixels", IMAGE_SHAPE, lambda: _pixels(config, precision), batch * (IMAGE_BYTES + 3 * size * size * 4))
    yield _head(config, ours, precision)
    weights = sum(math.prod(variable.shape) for variable in ours.trainable_variables)
    # AdamW reads a weight, its gradient and two moments, and writes weight and moments: 7 values of 4 bytes.
    yield Part("optimizer", (weights,), lambda: _update(config, ours), 7 * 4 * weights)
    if not ours.augmentation:  # on a CPU the input pipeline competes with the step for cores
        load = loading_turn(training_batches(patterns, DATASET, batch, config.data, config.train.seed), batch)
        yield Part("input and augmentation", (), lambda: lambda: batch * load(), 4 * batch * IMAGE_BYTES)


def _pixels(config: ExperimentConfig, precision: str) -> Turn:
    policy = tf.keras.mixed_precision.Policy(precision)
    normalise = Normalise(config.model.image_size, DATASET.pixel_mean, DATASET.pixel_std, dtype=policy)
    images = tf.zeros((config.train.batch_size, *IMAGE_SHAPE), tf.uint8)
    work = tf.function(normalise, jit_compile=machine.has_gpu())
    return repeated(lambda: work(images))


def _head(config: ExperimentConfig, ours: tf.keras.Model, precision: str) -> Part:
    network, batch = build_network(config.model, precision, fused=True), config.train.batch_size
    pool, head = network.get_layer("pool"), network.get_layer("head")
    metrics, labels = make_metrics(config.model.num_classes), tf.zeros(batch, tf.int64)
    shape = tuple(pool.input.shape[1:])

    def loss(x: tf.Tensor) -> tf.Tensor:
        logits = head(pool(x))
        for metric in metrics:
            metric.update_state(labels, logits)
        return ours.loss(labels, logits)

    dtype = machine.PRECISIONS[precision]

    def make() -> Turn:
        return repeated(forward_backward(loss, (batch, *shape), dtype, head.trainable_variables))

    operations = 3 * batch * flops.product(1, shape[-1], config.model.num_classes)
    moved = 2 * batch * math.prod(shape) * dtype.size
    return Part("pooling, head, loss, metrics", shape, make, moved, operations)


def _update(config: ExperimentConfig, ours: tf.keras.Model) -> Turn:
    variables, strategy = ours.trainable_variables, make_strategy(config.train.replicas)
    gradients = [1e-3 * tf.random.stateless_normal(variable.shape, (0, 0)) for variable in variables]

    def apply() -> None:
        ours.optimizer.apply_gradients(zip(gradients, variables, strict=True))

    return repeated(tf.function(lambda: strategy.run(apply)))
