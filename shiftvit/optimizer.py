"""The optimizer of a training, by the AdamW of the stack: see `shiftvit.adamw_addons` and `shiftvit.adamw_keras`."""

from collections.abc import Mapping, Sequence

import tensorflow as tf

from shiftvit.config import TrainConfig
from shiftvit.schedule import WarmupCosine
from shiftvit.stack import CLASSIC, STACK
from shiftvit.update_rule import UpdateRule

if STACK == CLASSIC:
    from shiftvit import adamw_addons as adamw
else:
    from shiftvit import adamw_keras as adamw  # type: ignore[no-redef]

LibraryAdamW = adamw.LibraryAdamW  # without a rule of ours, for the benchmarks' reference
last_rate = adamw.last_rate


def make_optimizer(
    config: TrainConfig,
    total_steps: int,
    variables: Sequence[tf.Variable],
    rate_factors: Mapping[str, float] | None = None,
) -> tf.keras.optimizers.Optimizer:
    """Returns AdamW with warmup and cosine decay, as `UpdateRule` describes it.

    Args:
        config: with the peak rate, the decay and the rest.
        total_steps: at which the schedule ends.
        variables: that it updates.
        rate_factors: of the layers' learning rates and weight decays, by name; by default, all are 1.
    """
    rule = UpdateRule(
        rate=WarmupCosine(config.learning_rate, total_steps, round(total_steps * config.warmup_fraction)),
        weight_decay=config.weight_decay,
        clip_norm=config.clip_norm,
        ema_decay=config.ema_decay,
        rate_factors=rate_factors or {},
    )
    return adamw.make(rule, variables)


class SwapEMAWeights(tf.keras.callbacks.Callback):
    """Swaps in the averaged weights: for each evaluation, and for good when training ends."""

    def on_test_begin(self, logs: dict[str, float] | None = None) -> None:
        self.trained = [tf.identity(weight) for weight in self.model.trainable_variables]
        self.on_train_end()

    def on_test_end(self, logs: dict[str, float] | None = None) -> None:
        for weight, value in zip(self.model.trainable_variables, self.trained, strict=True):
            weight.assign(value)

    def on_train_end(self, logs: dict[str, float] | None = None) -> None:
        adamw.assign_averages(self.model.optimizer, self.model.trainable_variables)
