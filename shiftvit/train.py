"""Training under a distribution strategy, for the Trainer and for the trials of a search alike."""

import math
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import tensorflow as tf

from shiftvit import rng
from shiftvit.augmentation import augment
from shiftvit.callbacks import CSVHistory, EpochCheckpoint, StopOnDivergence
from shiftvit.cluster import is_chief
from shiftvit.config import DataConfig, ExperimentConfig, ModelConfig, TrainConfig
from shiftvit.dataset import DatasetInfo, TrainingData, dataset_of_files
from shiftvit.errors import ConfigError
from shiftvit.features import TRAIN
from shiftvit.files import disk
from shiftvit.fine_tuning import freeze, rate_factors
from shiftvit.input_pipeline import evaluation_batches, training_batches
from shiftvit.loss import SmoothedCrossEntropy, balanced_weights, make_metrics, weigh
from shiftvit.model import NETWORK, build_model, build_network
from shiftvit.official_weights import load_official, read_official
from shiftvit.optimizer import SwapEMAWeights, make_optimizer
from shiftvit.record_files import RecordFiles, explain_errors
from shiftvit.strategy import make_strategy
from shiftvit.tracing import as_written, compiled
from shiftvit.training_record import HISTORY_FILE

_HISTORY_BYTES = 1_000_000  # enough for the history and the TensorBoard logs


def resolve_precision(precision: str) -> str:
    """Returns the Keras policy for `train.precision`; "auto" picks bfloat16 if the hardware supports it."""
    if precision != "auto":
        return precision
    return "mixed_bfloat16" if _has_bfloat16() else "float32"


def _has_bfloat16() -> bool:
    gpus = tf.config.list_physical_devices("GPU")
    if gpus:
        return all(tf.config.experimental.get_device_details(gpu)["compute_capability"] >= (8, 0) for gpu in gpus)
    cpuinfo = Path("/proc/cpuinfo")
    return cpuinfo.exists() and "bf16" in cpuinfo.read_text(encoding="utf-8")


def steps_per_epoch(config: TrainConfig, train_files: Sequence[str]) -> int:
    """Returns the number of batches in an epoch: `config.steps_per_epoch`, or as many full ones as there are.

    Raises:
        ConfigError: if the training split has fewer images than a batch.
    """
    if config.steps_per_epoch:
        return config.steps_per_epoch
    records = len(RecordFiles(train_files))
    config.check_split(records)
    return records // config.batch_size


def compile_model(config: ExperimentConfig, dataset: DatasetInfo, total_steps: int) -> tf.keras.Model:
    """Builds and compiles the model under its strategy, with a learning-rate schedule of `total_steps` updates.

    Args:
        config: the experiment, made for the data with `ExperimentConfig.for_data`.
        dataset: the data.
        total_steps: of the whole training.

    Raises:
        ConfigError: if the number of devices does not divide the global batch, or several devices are to run several
            steps per execution.
    """
    strategy = make_strategy(config.train.replicas)
    _check_devices(config.train, strategy.num_replicas_in_sync)
    tf.keras.utils.set_random_seed(config.train.seed)
    if config.train.deterministic:
        tf.config.experimental.enable_op_determinism()
    with strategy.scope():
        model = build_model(config.model, dataset, resolve_precision(config.train.precision), fused=True)
        network, depths = model.get_layer(NETWORK), config.model.depths
        if config.train.initial_weights:
            load_official(network, read_official(config.train.initial_weights))
        freeze(network, config.train.freeze, depths)
        weights = balanced_weights(dataset.class_counts[TRAIN]) if config.train.class_weights == "balanced" else None
        model = TrainingModel(model.input, model.output).prepare(
            config.train.seed, config.data if _has_gpu() else None, weights
        )
        factors = rate_factors(network, config.train.layer_decay, depths)
        model.compile(
            make_optimizer(config.train, total_steps, model.trainable_variables, factors),
            SmoothedCrossEntropy(config.train.label_smoothing),
            make_metrics(config.model.num_classes),
            # On a CPU, XLA's matrix products are slow; on several devices a compiled step cannot access all variables.
            jit_compile=_has_gpu() and strategy.num_replicas_in_sync == 1,
            steps_per_execution=config.train.steps_per_execution,
        )
    # Metrics are already aggregated over all replicas; with several workers Keras would sum them once more.
    model.distribute_reduction_method = "first"
    return model


def _check_devices(config: TrainConfig, devices: int) -> None:
    if config.batch_size % devices:
        raise ConfigError(
            f"train.batch_size={config.batch_size} is not divisible by the {devices} devices: "
            "it is the global batch size"
        )
    if config.steps_per_execution > 1 and devices > 1:
        raise ConfigError(
            f"train.steps_per_execution={config.steps_per_execution} needs a single device, because TensorFlow cannot "
            f"loop over {devices} of them: set it to 1, or set train.replicas=1"
        )


def check_initial_weights(config: ModelConfig, path: str) -> list[str]:
    """Checks `train.initial_weights` before a run; returns the notes of `load_official`.

    Args:
        config: the network, with the size of its input and its number of classes.
        path: of the weights.

    Raises:
        ConfigError: if the weights belong to another network.
        DataError: if the file cannot be read.
    """
    try:
        return load_official(build_network(config), read_official(path))
    except ConfigError as error:
        raise ConfigError(f"train.initial_weights={path}: {error}") from error


# Compiled even if the training step is not: without XLA, TensorFlow gathers bytes on the host only.
_compiled_augment = compiled(augment)


class TrainingModel(tf.keras.Model):
    """A model whose training step draws random numbers as a function of the seed, the step and the replica.

    So a resumed training needs no generator state. On an accelerator the step also augments, faster than the host. The
    step weighs the loss by class, if there are weights; evaluation does not.
    """

    def prepare(self, seed: int, augmentation: DataConfig | None, class_weights: np.ndarray | None) -> "TrainingModel":
        """Sets the seed, and for the training step the augmentation and the weights of the classes, or None.

        Returns the model itself.
        """
        self.augmentation, self._seed, self._class_weights = augmentation, seed, class_weights
        return self

    @as_written
    def train_step(self, data: tuple[tf.Tensor, tf.Tensor]) -> dict[str, tf.Tensor]:
        """Trains on the batch of one replica: images, uint8 (N, size, size, 3), and labels, or targets of `augment`."""
        context = tf.distribute.get_replica_context()
        replica = tf.cast(context.replica_id_in_sync_group, tf.int64)
        replica_step = self.optimizer.iterations * context.num_replicas_in_sync + replica
        augment_seed, layer_seed = rng.split(tf.stack([tf.constant(self._seed, tf.int64), replica_step]), 2)
        if self.augmentation:
            data = _compiled_augment(*data, augment_seed, self.augmentation, self.output_shape[-1])
        weights = () if self._class_weights is None else (weigh(data[1], self._class_weights),)
        with rng.seed_layers(layer_seed):
            return super().train_step((*data, *weights))

    @as_written
    def test_step(self, data: tuple[tf.Tensor, tf.Tensor]) -> dict[str, tf.Tensor]:
        return super().test_step(data)


def _has_gpu() -> bool:
    return bool(tf.config.list_physical_devices("GPU"))


def fit(
    model: tf.keras.Model,
    config: ExperimentConfig,
    data: TrainingData,
    steps: int,
    callbacks: Sequence[tf.keras.callbacks.Callback] = (),
    until_epoch: int | None = None,
    initial_epoch: int = 0,
) -> tf.keras.callbacks.History:
    """Trains from one epoch to another, and evaluates after each.

    Args:
        model: from `compile_model`.
        config: the experiment.
        data: to train on, and to evaluate on.
        steps: per epoch.
        callbacks: to call.
        until_epoch: how many epochs are finished at the end; by default `config.train.epochs`.
        initial_epoch: how many epochs are finished already.
    """
    batch, distribute = config.train.batch_size, model.distribute_strategy.distribute_datasets_from_function

    def shuffled(context: tf.distribute.InputContext) -> tf.data.Dataset:
        settings = batch, config.data, config.train.seed, not model.augmentation
        return training_batches(data.train_files, data.dataset, *settings, context, start=initial_epoch * steps)

    def evaluated(context: tf.distribute.InputContext) -> tf.data.Dataset:
        return evaluation_batches(data.eval_files, data.dataset, batch, context, config.data.memory)

    with explain_errors([*data.train_files, *data.eval_files], data.dataset.image_size):
        return model.fit(
            distribute(shuffled),
            epochs=until_epoch or config.train.epochs,
            initial_epoch=initial_epoch,
            steps_per_epoch=steps,
            validation_data=distribute(evaluated),
            validation_steps=math.ceil(len(RecordFiles(data.eval_files)) / batch),
            verbose=0,
            callbacks=[*([SwapEMAWeights()] if config.train.ema_decay else []), *callbacks],
        )


def train(
    config: ExperimentConfig,
    train_files: Sequence[str],
    eval_files: Sequence[str],
    *,
    resume_dir: str,
    callbacks: Sequence[tf.keras.callbacks.Callback] = (),
    until_epoch: int | None = None,
) -> tf.keras.Model:
    """Trains from scratch, or resumes after the last epoch that a killed attempt finished.

    A kill does not change the result: all randomness depends on the seed and the step only.

    Args:
        config: the experiment.
        train_files: patterns of the TFRecord files of the training split, as ExampleGen lays them out.
        eval_files: the same of the eval split.
        resume_dir: for the checkpoint and HISTORY_FILE; the same for every attempt and worker.
        callbacks: called after an epoch's history and checkpoint are saved.
        until_epoch: stops after so many epochs, though the schedule ends with `config.train.epochs`; by default that.

    Returns:
        The trained model, with averaged weights if `train.ema_decay` is set.

    Raises:
        UserError: if the experiment does not fit the data, or training diverges; the last good checkpoint stays.
        DiskFullError: if there is no space for a checkpoint; the last one stays.
    """
    data = TrainingData(dataset_of_files(train_files), train_files, eval_files)
    config = config.for_data(data.dataset)
    make_strategy(config.train.replicas)  # first, because counting the records starts TensorFlow
    steps = steps_per_epoch(config.train, train_files)
    model = compile_model(config, data.dataset, steps * config.train.epochs)
    tf.io.gfile.makedirs(resume_dir)
    checkpoint = EpochCheckpoint(model, os.path.join(resume_dir, "state"))
    history = [CSVHistory(os.path.join(resume_dir, HISTORY_FILE))] if is_chief() else []
    callbacks = [StopOnDivergence(checkpoint.directory), *history, checkpoint, *callbacks]
    with disk.ensure_space(resume_dir, _checkpoint_bytes(model, config.train), "the checkpoint of the training"):
        fit(model, config, data, steps, callbacks, until_epoch, initial_epoch=checkpoint.restore())
    return model


def _checkpoint_bytes(model: tf.keras.Model, config: TrainConfig) -> int:
    """Returns the space that checkpoints need: the last one stays until the next one is complete."""
    copies = 3 + bool(config.ema_decay)  # the weights, Adam's two moments, and the average
    return 2 * copies * 4 * model.count_params() + _HISTORY_BYTES
