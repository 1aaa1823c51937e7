"""What an update of the weights does, whichever library's AdamW does it."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

import tensorflow as tf

from shiftvit.schedule import WarmupCosine

NO_DECAY = {"bias", "gamma", "beta"}  # parts of the names of variables without weight decay


@dataclass(frozen=True)
class UpdateRule:
    """AdamW (Loshchilov and Hutter, 2019) with a schedule, and an average of the weights.

    The decay is decoupled, and follows the schedule: an update multiplies a weight by 1 - rate * `weight_decay`. The
    average ramps up from a decay of 0.1, to forget the first steps.
    """

    rate: WarmupCosine
    weight_decay: float
    clip_norm: float = 0.0  # global norm of the gradients; 0 clips nothing
    ema_decay: float = 0.0  # of the average of the weights; 0 keeps none
    rate_factors: Mapping[str, float] = field(default_factory=dict)  # by layer; empty: all are 1
    epsilon: float = 1e-8  # PyTorch's, as the recipe needs; Keras's 1e-7 is as large as many gradients of wide layers

    def factor(self, variable: tf.Variable) -> float:
        """Returns what multiplies the rate and the decay of the variable, by the first part of its name."""
        return self.rate_factors[variable.name.split("/")[0]] if self.rate_factors else 1.0

    def decays(self, variable: tf.Variable) -> bool:
        """Tells whether the variable decays: biases and the scales and offsets of norms do not."""
        return NO_DECAY.isdisjoint(re.split("[/:]", variable.name))

    def average_decay(self, updates: tf.Tensor) -> tf.Tensor:
        """Returns the decay of the average after so many updates, a float32 scalar."""
        updates = tf.cast(updates, tf.float32)
        return tf.minimum(self.ema_decay, (1 + updates) / (10 + updates))
