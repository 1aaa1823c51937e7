"""Training under a strategy: the same code for the Trainer, for each trial of the search and for tests."""

import math
import os
from collections.abc import Sequence
from pathlib import Path

import tensorflow as tf

from shiftvit import rng
from shiftvit.augmentation import augment
from shiftvit.callbacks import KeepHistory, KeepState, StopOnDivergence
from shiftvit.cluster import is_chief
from shiftvit.config import DataConfig, ExperimentConfig, TrainConfig
from shiftvit.errors import ConfigError
from shiftvit.files import disk
from shiftvit.input_pipeline import count_records, evaluation_batches, training_batches
from shiftvit.loss import SmoothedCrossEntropy, make_metrics
from shiftvit.model import NETWORK, build_model, build_network
from shiftvit.official_weights import load_official, read_official
from shiftvit.optimizer import UseAverage, make_optimizer
from shiftvit.strategy import make_strategy
from shiftvit.training_record import HISTORY_FILE

_HISTORY_BYTES = 1_000_000  # enough for it, and for what TensorBoard is told


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
        ConfigError: when the replicas do not divide the global batch, or updates are to be bundled over several.
    """
    strategy = make_strategy(config.train.replicas)
    _check_devices(config.train, strategy.num_replicas_in_sync)
    tf.keras.utils.set_random_seed(config.train.seed)
    if config.train.deterministic:
        tf.config.experimental.enable_op_determinism()
    with strategy.scope():
        model = build_model(config.model, resolve_precision(config.train.precision), fused=True)
        if config.train.initial_weights:
            load_official(model.get_layer(NETWORK), read_official(config.train.initial_weights))
        model = TrainingModel(model.input, model.output).drawing_from(
            config.train.seed, config.data if _has_gpu() else None
        )
        model.compile(
            make_optimizer(config.train, total_steps),
            SmoothedCrossEntropy(config.train.label_smoothing),
            make_metrics(),
            jit_compile=_xla_pays(strategy),
            steps_per_execution=config.train.steps_per_execution,
        )
    # The metrics are those of all replicas already; over several workers Keras would add them up once more.
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
            f"train.steps_per_execution={config.steps_per_execution} needs a single device, since TensorFlow cannot "
            f"loop over {devices} of them: set it to 1, or train.replicas=1"
        )


def try_initial_weights(config: ExperimentConfig) -> list[str]:
    """Returns what `train.initial_weights` leaves at its initialisation, in sentences, before any training.

    Raises:
        ConfigError: when the weights are of another network.
        DataError: when the file cannot be read.
    """
    path = config.train.initial_weights
    try:
        return load_official(build_network(config.model), read_official(path))
    except ConfigError as error:
        raise ConfigError(f"train.initial_weights={path}: {error}") from error


# Also where XLA does not compile the whole step: TensorFlow by itself gathers bytes on the host only.
_compiled_augment = tf.function(augment, jit_compile=True)


class TrainingModel(tf.keras.Model):
    """A model whose train step draws its random numbers from the seed, its number and the replica alone.

    So nothing of them is to be kept for a training that goes on. On an accelerator the step also augments, since it
    can do that faster than the host.
    """

    def drawing_from(self, seed: int, augmentation: DataConfig | None) -> "TrainingModel":
        """Returns the model itself, set to draw from `seed` and to augment so; None: images come augmented."""
        self.augmentation, self._seed = augmentation, seed
        return self

    def train_step(self, data):
        """data: of one replica, images uint8 (N, 32, 32, 3) and what `augment` takes or gives as their targets."""
        context = tf.distribute.get_replica_context()
        replica = tf.cast(context.replica_id_in_sync_group, tf.int64)
        part = self.optimizer.iterations * context.num_replicas_in_sync + replica
        augmenting, dropping = rng.split(tf.stack([tf.constant(self._seed, tf.int64), part]), 2)
        if self.augmentation:
            data = _compiled_augment(*data, augmenting, self.augmentation)
        with rng.drawing_from(dropping):
            return super().train_step(data)


def _xla_pays(strategy: tf.distribute.Strategy) -> bool:
    """XLA multiplies matrices slowly on a CPU; over several devices, its step cannot reach all variables."""
    return _has_gpu() and strategy.num_replicas_in_sync == 1


def _has_gpu() -> bool:
    return bool(tf.config.list_physical_devices("GPU"))


def fit(
    model: tf.keras.Model,
    config: ExperimentConfig,
    train_files: Sequence[str],
    eval_files: Sequence[str],
    steps: int,
    callbacks: Sequence[tf.keras.callbacks.Callback] = (),
    until: int | None = None,
    done: int = 0,
) -> tf.keras.callbacks.History:
    """Goes on after `done` epochs of `steps` updates `until` so many are (by default all), and evaluates after each."""
    batch, augmented = config.train.batch_size, not model.augmentation
    distribute = model.distribute_strategy.distribute_datasets_from_function
    return model.fit(
        distribute(
            lambda share: training_batches(
                train_files, batch, config.data, config.train.seed, augmented, share, start=done * steps
            )
        ),
        epochs=until or config.train.epochs,
        initial_epoch=done,
        steps_per_epoch=steps,
        validation_data=distribute(lambda share: evaluation_batches(eval_files, batch, share)),
        validation_steps=math.ceil(count_records(eval_files) / batch),
        verbose=0,
        callbacks=[UseAverage(), *callbacks],
    )


def train(
    config: ExperimentConfig,
    train_files: Sequence[str],
    eval_files: Sequence[str],
    *,
    resume_dir: str,
    callbacks: Sequence[tf.keras.callbacks.Callback] = (),
    until: int | None = None,
) -> tf.keras.Model:
    """Trains from the start, or from the last epoch that a killed attempt finished.

    What comes then is what would have come without the kill: the data, their augmentation and all else that is drawn
    are functions of `train.seed` and of the number of the step. With `train.deterministic`, so are the sums.

    Args:
        config: what to train.
        train_files: patterns of TFRecord files of the training split.
        eval_files: patterns of TFRecord files of the eval split.
        resume_dir: holds the state after the last epoch, and HISTORY_FILE, one row an epoch; to be the same for every
            attempt and every worker, and the caller's to remove once it has kept the model.
        callbacks: are called after the history and the state of an epoch are kept.
        until: the epoch to end with, on a schedule that goes on to `config.train.epochs`; by default the last.

    Raises:
        UserError: when the loss ceases to be finite; the state after the last good epoch is kept.
        DiskFullError: when there is no room for the state; that after the last epoch is kept.
    """
    make_strategy(config.train.replicas)  # before TensorFlow starts, which it does to count the records
    steps = steps_per_epoch(config.train, train_files)
    model = compile_model(config, steps * config.train.epochs)
    tf.io.gfile.makedirs(resume_dir)
    state = KeepState(model, os.path.join(resume_dir, "state"))
    keeping = [KeepHistory(os.path.join(resume_dir, HISTORY_FILE))] if is_chief() else []
    done, callbacks = state.restore(), [StopOnDivergence(state.directory), *keeping, state, *callbacks]
    with disk.room(resume_dir, _state_bytes(model, config.train), "the state of the training"):
        fit(model, config, train_files, eval_files, steps, callbacks, until, done)
    return model


def _state_bytes(model: tf.keras.Model, config: TrainConfig) -> int:
    """Returns what resuming takes on the disk: the last state stays until the next one is whole."""
    copies = 3 + bool(config.ema_decay)  # the weights, the two moments of Adam, and the average
    return 2 * copies * 4 * model.count_params() + _HISTORY_BYTES
