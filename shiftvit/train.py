"""Training under MirroredStrategy: the same code for the Trainer, for each trial of the search and for tests."""

import csv
import functools
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import tensorflow as tf

from shiftvit import progress
from shiftvit.config import ExperimentConfig, TrainConfig
from shiftvit.errors import ConfigError, UserError
from shiftvit.input_pipeline import count_records, evaluation_batches, training_batches
from shiftvit.metrics import LOSS, OBJECTIVE, SmoothedCrossEntropy, make_metrics
from shiftvit.model import build_model
from shiftvit.optimizer import make_optimizer

HISTORY_FILE = "history.csv"


@functools.cache
def make_strategy(replicas: int = 0) -> tf.distribute.MirroredStrategy:
    """Returns the strategy over `replicas` GPUs (0: all), or over as many logical CPU devices where there is no GPU.

    One per process: a second MirroredStrategy after a first one crashes in its collectives.

    Raises:
        ConfigError: when there are fewer GPUs, or TensorFlow has already started with fewer CPU devices.
    """
    gpus = tf.config.list_physical_devices("GPU")
    if replicas > len(gpus) > 0:
        raise ConfigError(f"train.replicas={replicas}, but this machine has {len(gpus)} GPUs")
    if gpus:
        return tf.distribute.MirroredStrategy([f"/gpu:{i}" for i in range(replicas or len(gpus))])
    devices = _logical_cpus(max(replicas, 1))
    return tf.distribute.MirroredStrategy(devices, cross_device_ops=tf.distribute.ReductionToOneDevice())


def _logical_cpus(count: int) -> list[str]:
    cpu = tf.config.list_physical_devices("CPU")[0]
    if count > 1:
        try:
            tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * count)
        except RuntimeError as error:
            raise ConfigError(
                f"train.replicas={count} must be set before TensorFlow starts: call make_strategy first in the process"
            ) from error
    return [f"/cpu:{i}" for i in range(count)]


def resolve_precision(precision: str) -> str:
    """Returns the Keras policy for `train.precision`; "auto" takes bfloat16 where the hardware multiplies in it."""
    if precision != "auto":
        return precision
    return "mixed_bfloat16" if _has_bfloat16() else "float32"


def _has_bfloat16() -> bool:
    gpus = tf.config.list_physical_devices("GPU")
    if gpus:
        return all(tf.config.experimental.get_device_details(gpu)["compute_capability"] >= (8, 0) for gpu in gpus)
    cpuinfo = Path("/proc/cpuinfo")
    return cpuinfo.exists() and "bf16" in cpuinfo.read_text()


def steps_per_epoch(config: TrainConfig, train_files: Sequence[str]) -> int:
    """Returns the number of full batches in an epoch.

    Raises:
        ConfigError: when the training split holds less than one batch.
    """
    if config.steps_per_epoch:
        return config.steps_per_epoch
    records = count_records(train_files)
    if records < config.batch_size:
        raise ConfigError(
            f"train.batch_size={config.batch_size} is more than the {records} images of the training split"
        )
    return records // config.batch_size


def compile_model(config: ExperimentConfig, total_steps: int) -> tf.keras.Model:
    """Builds and compiles the model of `config` under its strategy, with a schedule of `total_steps` updates.

    Raises:
        ConfigError: when the replicas do not divide the global batch.
    """
    strategy = make_strategy(config.train.replicas)
    if config.train.batch_size % strategy.num_replicas_in_sync:
        raise ConfigError(
            f"train.batch_size={config.train.batch_size} is not divisible by the "
            f"{strategy.num_replicas_in_sync} devices of this machine: it is the global batch size"
        )
    tf.keras.utils.set_random_seed(config.train.seed)
    with strategy.scope():
        model = build_model(config.model, resolve_precision(config.train.precision))
        model.compile(
            make_optimizer(config.train, total_steps),
            SmoothedCrossEntropy(config.train.label_smoothing),
            make_metrics(),
            jit_compile=_xla_pays(strategy),
        )
    return model


def _xla_pays(strategy: tf.distribute.Strategy) -> bool:
    """XLA makes training on a CPU about twice as slow; over several devices, its step cannot reach all variables."""
    return bool(tf.config.list_physical_devices("GPU")) and strategy.num_replicas_in_sync == 1


def fit(
    model: tf.keras.Model,
    config: ExperimentConfig,
    train_files: Sequence[str],
    eval_files: Sequence[str],
    steps: int,
    callbacks: Sequence[tf.keras.callbacks.Callback] = (),
) -> tf.keras.callbacks.History:
    """Trains for `config.train.epochs` epochs of `steps` updates, with the eval split evaluated after each."""
    batch = config.train.batch_size
    return model.fit(
        training_batches(train_files, batch, config.data, config.train.seed),
        epochs=config.train.epochs,
        steps_per_epoch=steps,
        validation_data=evaluation_batches(eval_files, batch),
        verbose=0,
        callbacks=list(callbacks),
    )


def train(
    config: ExperimentConfig, train_files: Sequence[str], eval_files: Sequence[str], *, resume_dir: str, log_dir: str
) -> tf.keras.Model:
    """Trains from the start, or from the last epoch that a killed attempt finished.

    Args:
        config: what to train.
        train_files: patterns of TFRecord files of the training split.
        eval_files: patterns of TFRecord files of the eval split.
        resume_dir: holds the state after the last epoch, and HISTORY_FILE, one row an epoch; to be the same for every
            attempt, and the caller's to remove once it has kept the model.
        log_dir: for TensorBoard.

    Raises:
        UserError: when the loss ceases to be finite; what was kept for a resumption is removed.
    """
    steps = steps_per_epoch(config.train, train_files)
    model = compile_model(config, steps * config.train.epochs)
    tf.io.gfile.makedirs(resume_dir)
    history = fit(
        model,
        config,
        train_files,
        eval_files,
        steps,
        [
            KeepHistory(os.path.join(resume_dir, HISTORY_FILE)),
            tf.keras.callbacks.BackupAndRestore(os.path.join(resume_dir, "state"), delete_checkpoint=False),
            tf.keras.callbacks.TensorBoard(log_dir, write_graph=False),
            tf.keras.callbacks.TerminateOnNaN(),
            ReportProgress("train", steps, config.train.epochs),
        ],
    ).history
    if not np.all(np.isfinite(history.get(LOSS, []))):
        tf.io.gfile.rmtree(resume_dir)
        raise UserError(
            f"training diverged in epoch {len(history[LOSS])} of this attempt (the loss is not finite): "
            f"lower train.learning_rate, now {config.train.learning_rate:g}"
        )
    return model


class KeepHistory(tf.keras.callbacks.Callback):
    """Writes a CSV file with a row for each epoch; an epoch that is run again, because of a kill, replaces its row."""

    def __init__(self, path: str):
        super().__init__()
        self.path = path

    def on_epoch_end(self, epoch, logs=None):
        """Adds the row of the epoch."""
        rows = [row for row in self._read() if int(row["epoch"]) < epoch] + [{"epoch": epoch, **logs}]
        unfinished = f"{self.path}.partial"
        with tf.io.gfile.GFile(unfinished, "w") as file:
            writer = csv.DictWriter(file, rows[-1], lineterminator="\n")
            writer.writeheader()
            writer.writerows(rows)
        tf.io.gfile.rename(unfinished, self.path, overwrite=True)

    def _read(self) -> list[dict[str, str]]:
        if not tf.io.gfile.exists(self.path):
            return []
        with tf.io.gfile.GFile(self.path) as file:
            return list(csv.DictReader(file))


class ReportProgress(tf.keras.callbacks.Callback):
    """Reports how far training is, with the newest loss and accuracy: in epochs, or, for a trial, in trials."""

    def __init__(self, stage: str, steps: int, epochs: int, trial: int = 0, trials: int = 0):
        super().__init__()
        self.stage, self.steps, self.epochs, self.trial, self.trials = stage, steps, epochs, trial, trials
        self.epoch, self.evaluated = 0, {}

    def on_epoch_begin(self, epoch, logs=None):
        """Notes which epoch runs."""
        self.epoch = epoch

    def on_train_batch_end(self, batch, logs=None):
        """Reports, some fifty times an epoch."""
        if batch % max(self.steps // 50, 1) == 0:
            self._report(self.epoch + (batch + 1) / self.steps, logs)

    def on_epoch_end(self, epoch, logs=None):
        """Reports, with the accuracy on the eval split."""
        self.evaluated = {OBJECTIVE: logs[OBJECTIVE]}
        self._report(epoch + 1, logs)

    def _report(self, epochs_done: float, logs) -> None:
        done, total, unit = (
            (self.trial + epochs_done / self.epochs, self.trials, "trial")
            if self.trials
            else (epochs_done, self.epochs, "epoch")
        )
        progress.report(self.stage, done, total, unit, **{LOSS: logs[LOSS]}, **self.evaluated)
