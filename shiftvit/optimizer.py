"""The optimizer and its schedule. The only file that knows TensorFlow Addons, which is at its end of life."""

import functools
import math
import re

import tensorflow as tf
import tensorflow_addons as tfa

from shiftvit.config import TrainConfig

EPSILON = 1e-8  # as in PyTorch, where the recipe was found: Keras's 1e-7 is no less than many gradients of wide layers
NO_DECAY = {"bias", "gamma", "beta"}  # in the names of variables


class WarmupCosine(tf.keras.optimizers.schedules.LearningRateSchedule):
    """Rises linearly from 0 to `peak` over `warmup_steps`, then falls along a cosine to 0 at `total_steps`."""

    def __init__(self, peak: float, total_steps: int, warmup_steps: int):
        super().__init__()
        self.peak, self.total_steps, self.warmup_steps = peak, total_steps, warmup_steps

    def __call__(self, step):
        """step: how many updates were made before this one; returns a float32 scalar."""
        step = tf.cast(step, tf.float32)
        rising = (step + 1) / max(self.warmup_steps, 1)
        fraction = (step - self.warmup_steps) / max(self.total_steps - self.warmup_steps, 1)
        falling = 0.5 * (1 + tf.cos(math.pi * tf.clip_by_value(fraction, 0.0, 1.0)))
        return self.peak * tf.minimum(rising, falling) if self.warmup_steps else self.peak * falling

    def get_config(self):
        """Returns what makes the same schedule again."""
        return {"peak": self.peak, "total_steps": self.total_steps, "warmup_steps": self.warmup_steps}


class AdamW(tfa.optimizers.AdamW):
    """AdamW whose decay, too, is under a strategy what it is without one.

    TensorFlow Addons notes the variables that decay, and looks for each replica's own copy among them: under a
    MirroredStrategy it finds none, and nothing decays.
    """

    def _do_use_weight_decay(self, var) -> bool:
        return NO_DECAY.isdisjoint(re.split("[/:]", var.name))


def make_optimizer(config: TrainConfig, total_steps: int) -> tf.keras.optimizers.Optimizer:
    """Returns AdamW with decoupled decay (Loshchilov and Hutter, 2019) that follows the learning rate.

    Biases and the scales and offsets of norms do not decay. Where `config.ema_decay` asks for it, the optimizer also
    keeps a moving average of the weights, whose decay rises to that from 0.1, so that the first steps are forgotten.
    """
    warmup_steps = round(total_steps * config.warmup_fraction)
    clipping = {"global_clipnorm": config.clip_norm} if config.clip_norm else {}
    optimizer = functools.partial(
        AdamW,
        # TensorFlow Addons subtracts the decay as it is, so it needs the learning rate's schedule of its own.
        weight_decay=WarmupCosine(config.weight_decay * config.learning_rate, total_steps, warmup_steps),
        learning_rate=WarmupCosine(config.learning_rate, total_steps, warmup_steps),
        epsilon=EPSILON,
    )
    if not config.ema_decay:
        return optimizer(**clipping)
    return tfa.optimizers.MovingAverage(optimizer(), config.ema_decay, dynamic_decay=True, **clipping)


class UseAverage(tf.keras.callbacks.Callback):
    """Puts the averages, if the optimizer keeps any, in the weights' place: for each evaluation, and at the end."""

    def on_test_begin(self, logs=None):
        """Keeps the weights as they are trained."""
        if _averages(self.model.optimizer):
            self.trained = [tf.identity(weight) for weight in self.model.trainable_variables]
            self.on_train_end()

    def on_test_end(self, logs=None):
        """Goes back to them."""
        if _averages(self.model.optimizer):
            for weight, value in zip(self.model.trainable_variables, self.trained, strict=True):
                weight.assign(value)

    def on_train_end(self, logs=None):
        """Takes the averages for good."""
        if _averages(self.model.optimizer):
            self.model.optimizer.assign_average_vars(self.model.trainable_variables)


def _averages(optimizer: tf.keras.optimizers.Optimizer) -> bool:
    return isinstance(optimizer, tfa.optimizers.MovingAverage)
