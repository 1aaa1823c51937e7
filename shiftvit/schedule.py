"""The learning rate as a function of the step."""

import math
from typing import Any

import tensorflow as tf


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
