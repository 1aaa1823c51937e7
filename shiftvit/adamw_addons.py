"""The update rule by TensorFlow Addons, which has reached its end of life: the optimizer of the classic stack."""

from collections.abc import Mapping, Sequence
from typing import Any

import tensorflow as tf
import tensorflow_addons as tfa

from shiftvit.schedule import WarmupCosine
from shiftvit.update_rule import UpdateRule

LibraryAdamW = tfa.optimizers.AdamW


class AdamW(tfa.optimizers.AdamW):
    """AdamW that decays weights under a distribution strategy too, and scales the learning rate by layer.

    The base class compares the variables to decay with each replica's own copies. Under a MirroredStrategy none is
    equal, so nothing would decay.
    """

    def __init__(self, rule: UpdateRule, **settings: Any) -> None:
        rate = rule.rate
        # TensorFlow Addons does not multiply the decay by the learning rate, so it gets that product as a schedule.
        decay = WarmupCosine(rule.weight_decay * rate.peak, rate.total_steps, rate.warmup_steps)
        super().__init__(weight_decay=decay, learning_rate=rate, epsilon=rule.epsilon, **settings)
        self._rule = rule

    def _resource_apply_dense(
        self, grad: tf.Tensor, var: tf.Variable, apply_state: Mapping[tuple, Mapping[str, tf.Tensor]]
    ) -> tf.Operation:
        """Scales the step and the decay, not the gradient, which Adam normalises."""
        key = var.device, var.dtype.base_dtype
        coefficients = apply_state.get(key) or self._fallback_apply_state(*key)
        scaled = {name: self._rule.factor(var) * coefficients[name] for name in ("lr_t", "wd_t")}
        return super()._resource_apply_dense(grad, var, {key: {**coefficients, **scaled}})

    def _do_use_weight_decay(self, var: tf.Variable) -> bool:
        return self._rule.decays(var)


def make(rule: UpdateRule, variables: Sequence[tf.Variable]) -> tf.keras.optimizers.legacy.Optimizer:
    """Returns the optimizer of the variables; it makes its state at the first update."""
    clipping = {"global_clipnorm": rule.clip_norm} if rule.clip_norm else {}
    if not rule.ema_decay:
        return AdamW(rule, **clipping)
    # Its dynamic decay is `UpdateRule.average_decay`.
    return tfa.optimizers.MovingAverage(AdamW(rule), rule.ema_decay, dynamic_decay=True, **clipping)


def assign_averages(optimizer: tf.keras.optimizers.legacy.Optimizer, variables: Sequence[tf.Variable]) -> None:
    """Gives the trained variables the values of their averages."""
    optimizer.assign_average_vars(variables)


def last_rate(optimizer: tf.keras.optimizers.legacy.Optimizer) -> float:
    """Returns the learning rate of the last update."""
    return float(optimizer.learning_rate(max(int(optimizer.iterations.numpy()) - 1, 0)))
