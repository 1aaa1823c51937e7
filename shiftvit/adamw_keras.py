"""The update rule by Keras 2's own AdamW: the optimizer of the current stack. The classic one can run it too."""

from collections.abc import Sequence

import tensorflow as tf

from shiftvit.update_rule import UpdateRule

LibraryAdamW = tf.keras.optimizers.AdamW


class AdamW(tf.keras.optimizers.AdamW):
    """AdamW that knows the variables to decay by name, scales the learning rate by layer, and ramps up its average."""

    def __init__(self, rule: UpdateRule) -> None:
        super().__init__(
            rule.rate,
            rule.weight_decay,
            epsilon=rule.epsilon,
            global_clipnorm=rule.clip_norm or None,
            use_ema=bool(rule.ema_decay),
            ema_momentum=rule.ema_decay,
        )
        self._rule = rule

    def _use_weight_decay(self, variable: tf.Variable) -> bool:
        return self._rule.decays(variable)

    def _apply_weight_decay(self, variables: Sequence[tf.Variable]) -> None:
        """Decays the layers of one factor after those of another, because Keras has one decay at a time."""
        factors = [self._rule.factor(variable) for variable in variables]
        for factor in dict.fromkeys(factors):
            self.weight_decay = factor * self._rule.weight_decay
            super()._apply_weight_decay([v for v, own in zip(variables, factors, strict=True) if own == factor])

    def update_step(self, gradient: tf.Tensor, variable: tf.Variable) -> None:
        """Scales the step, not the gradient, which Adam normalises."""
        factor = self._rule.factor(variable)
        before = None if factor == 1 else tf.identity(variable)
        super().update_step(gradient, variable)
        if before is not None:
            variable.assign(before + factor * (variable - before))

    def _update_model_variables_moving_average(self, var_list: Sequence[tf.Variable]) -> None:
        self.ema_momentum = self._rule.average_decay(self.iterations)
        super()._update_model_variables_moving_average(var_list)
        self.ema_momentum = self._rule.ema_decay

    def finalize_variable_values(self, var_list: Sequence[tf.Variable]) -> None:
        """Leaves the weights alone when `fit` ends: `SwapEMAWeights` decides when the averages are wanted."""


def make(rule: UpdateRule, variables: Sequence[tf.Variable]) -> AdamW:
    """Returns the optimizer of the variables, with its state, for a checkpoint to restore."""
    optimizer = AdamW(rule)
    optimizer.build(variables)
    return optimizer


def assign_averages(optimizer: AdamW, variables: Sequence[tf.Variable]) -> None:
    """Gives the trained variables the values of their averages."""
    LibraryAdamW.finalize_variable_values(optimizer, variables)


def last_rate(optimizer: AdamW) -> float:
    """Returns the learning rate of the last update."""
    return float(optimizer.learning_rate.numpy())
