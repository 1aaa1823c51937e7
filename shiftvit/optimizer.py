"""The optimizer and its schedule. Only this file uses TensorFlow Addons, which has reached its end of life."""

import functools
import math
import re
from collections.abc import Mapping
from typing import Any

import tensorflow as tf
import tensorflow_addons as tfa

from shiftvit.config import TrainConfig

EPSILON = 1e-8  # PyTorch's, as the recipe needs; Keras's 1e-7 is as large as many gradients of wide layers
NO_DECAY = {"bias", "gamma", "beta"}  # parts of the names of variables without weight decay


class WarmupCosine(tf.keras.optimizers.schedules.LearningRateSchedule):
    """Rises linearly from 0 to `peak` over `warmup_steps`, then falls along a cosine to 0 at `total_steps`."""

    def __init__(self, peak: float, total_steps: int, warmup_steps: int) -> None:
        super().__init__()
        self.peak, self.total_steps, self.warmup_steps = peak, total_steps, warmup_steps

    def __call__(self, step: tf.Tensor) -> tf.Tensor:
        """Returns the rate of update `step`, counted from 0, as a float32 scalar."""
        step = tf.cast(step, tf.float32)
        rising = (step + 1) / max(self.warmup_steps, 1)
        fraction = (step - self.warmup_steps) / max(self.total_steps - self.warmup_steps, 1)
        falling = 0.5 * (1 + tf.cos(math.pi * tf.clip_by_value(fraction, 0.0, 1.0)))
        return self.peak * tf.minimum(rising, falling) if self.warmup_steps else self.peak * falling

    def get_config(self) -> dict[str, Any]:
        return {"peak": self.peak, "total_steps": self.total_steps, "warmup_steps": self.warmup_steps}


class AdamW(tfa.optimizers.AdamW):
    """AdamW that decays weights under a distribution strategy too, and scales the learning rate by layer.

    The base class compares the variables to decay with each replica's own copies. Under a MirroredStrategy none is
    equal, so nothing would decay.

    Args:
        rate_factors: of the layers' learning rates and weight decays, by the first part of the variables' names;
            without any, all are 1.
        settings: of the base class.
    """

    def __init__(self, rate_factors: Mapping[str, float], **settings: Any) -> None:
        super().__init__(**settings)
        self._rate_factors = rate_factors

    def _resource_apply_dense(
        self, grad: tf.Tensor, var: tf.Variable, apply_state: Mapping[tuple, Mapping[str, tf.Tensor]]
    ) -> tf.Operation:
        """Scales the step and the decay, not the gradient, which Adam normalises."""
        factor = self._rate_factors[var.name.split("/")[0]] if self._rate_factors else 1
        key = var.device, var.dtype.base_dtype
        coefficients = apply_state.get(key) or self._fallback_apply_state(*key)
        scaled = {name: factor * coefficients[name] for name in ("lr_t", "wd_t")}
        return super()._resource_apply_dense(grad, var, {key: {**coefficients, **scaled}})

    def _do_use_weight_decay(self, var: tf.Variable) -> bool:
        return NO_DECAY.isdisjoint(re.split("[/:]", var.name))


def make_optimizer(
    config: TrainConfig, total_steps: int, rate_factors: Mapping[str, float] | None = None
) -> tf.keras.optimizers.Optimizer:
    """Returns AdamW (Loshchilov and Hutter, 2019) with warmup and cosine decay, and the weight decay to match.

    Biases and the scales and offsets of norms do not decay. With `config.ema_decay`, the optimizer also maintains an
    exponential moving average of the weights; its decay ramps up from 0.1, to forget the first steps.

    Args:
        config: with the peak rate, the decay and the rest.
        total_steps: at which the schedule ends.
        rate_factors: of the layers' learning rates and weight decays, by name; by default, all are 1.
    """
    warmup_steps = round(total_steps * config.warmup_fraction)
    clipping = {"global_clipnorm": config.clip_norm} if config.clip_norm else {}
    optimizer = functools.partial(
        AdamW,
        rate_factors or {},
        # TensorFlow Addons does not multiply the decay by the learning rate, so it gets that product as a schedule.
        weight_decay=WarmupCosine(config.weight_decay * config.learning_rate, total_steps, warmup_steps),
        learning_rate=WarmupCosine(config.learning_rate, total_steps, warmup_steps),
        epsilon=EPSILON,
    )
    if not config.ema_decay:
        return optimizer(**clipping)
    return tfa.optimizers.MovingAverage(optimizer(), config.ema_decay, dynamic_decay=True, **clipping)


class SwapEMAWeights(tf.keras.callbacks.Callback):
    """Swaps in the averaged weights, if there are any: for each evaluation, and for good when training ends."""

    def on_test_begin(self, logs: dict[str, float] | None = None) -> None:
        if _has_averages(self.model.optimizer):
            self.trained = [tf.identity(weight) for weight in self.model.trainable_variables]
            self.on_train_end()

    def on_test_end(self, logs: dict[str, float] | None = None) -> None:
        if _has_averages(self.model.optimizer):
            for weight, value in zip(self.model.trainable_variables, self.trained, strict=True):
                weight.assign(value)

    def on_train_end(self, logs: dict[str, float] | None = None) -> None:
        if _has_averages(self.model.optimizer):
            self.model.optimizer.assign_average_vars(self.model.trainable_variables)


def _has_averages(optimizer: tf.keras.optimizers.Optimizer) -> bool:
    return isinstance(optimizer, tfa.optimizers.MovingAverage)
