"""Turns that run a whole train loop, Keras' `fit` with input pipeline: ours and the Keras example's."""

import time
from collections.abc import Mapping
from typing import Any

import tensorflow as tf

from benchmarks import records
from benchmarks.keras_example import compile_example
from benchmarks.timing import Turn
from shiftvit.config import ExperimentConfig
from shiftvit.input_pipeline import training_batches

STEPS = 6  # updates per turn, about
SCHEDULE = 10_000  # updates in the learning-rate schedules


def train_turn(model: tf.keras.Model, config: ExperimentConfig, patterns: list[str]) -> Turn:
    """Returns a turn of our train loop, in seconds per image."""
    train = config.train
    data = training_batches(
        patterns, records.DATASET, train.batch_size, config.data, train.seed, augmented=not model.augmentation
    )
    return _turn(model, data, train.batch_size, train.steps_per_execution)


def example_turn(config: ExperimentConfig) -> Turn:
    """Returns a turn of the example's train loop, in seconds per image."""
    batch = config.train.batch_size
    data = tf.data.Dataset.from_tensor_slices(records.random_examples(records.COUNT)).shuffle(10 * batch).repeat()
    data = data.batch(batch, drop_remainder=True).prefetch(tf.data.AUTOTUNE)
    return _turn(compile_example(config.model, SCHEDULE), data, batch, 1)


def _turn(model: tf.keras.Model, data: tf.data.Dataset, batch: int, steps_per_execution: int) -> Turn:
    executions = 1 + max(1, STEPS // steps_per_execution)  # the first, which fills the input pipeline, is not counted

    def turn() -> float:
        clock = _Clock()
        model.fit(data, steps_per_epoch=executions * steps_per_execution, verbose=0, callbacks=[clock])
        return clock.seconds_per_step / batch

    return turn


class _Clock(tf.keras.callbacks.Callback):
    """Times the steps after the first execution."""

    def __init__(self) -> None:
        super().__init__()
        self.seconds_per_step = float("nan")
        self._first: tuple[float, int] | None = None

    def on_train_batch_end(self, batch: int, logs: Mapping[str, Any]) -> None:
        float(logs["loss"])  # waits until an accelerator has finished the step
        now = time.perf_counter()
        if self._first is None:
            self._first = now, batch
        else:
            started, first_batch = self._first
            self.seconds_per_step = (now - started) / (batch - first_batch)
