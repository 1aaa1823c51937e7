"""AdamW of TensorFlow Addons against that of Keras. Only the classic stack has both."""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf

from shiftvit import adamw_keras
from shiftvit.schedule import WarmupCosine
from shiftvit.update_rule import UpdateRule

pytest.importorskip("tensorflow_addons", reason="the current stack has no TensorFlow Addons")
from shiftvit import adamw_addons

RULE = UpdateRule(
    WarmupCosine(0.01, total_steps=40, warmup_steps=5),
    weight_decay=0.05,
    clip_norm=1.0,
    ema_decay=0.9,
    rate_factors={"stem": 0.3, "head": 1.0},
)


def updated(library, rule):
    """Returns the weights, their averages and the rates of 40 updates with the same gradients."""
    random = np.random.default_rng(7)
    names = ("stem/kernel", "stem/bias", "head/kernel")
    variables = [tf.Variable(random.normal(size=(3, 4)).astype("f"), name=name) for name in names]
    optimizer, rates = library.make(rule, variables), []
    for _ in range(40):
        gradients = [tf.constant(random.normal(scale=0.3, size=(3, 4)), tf.float32) for _ in variables]
        optimizer.apply_gradients(zip(gradients, variables, strict=True))
        rates.append(library.last_rate(optimizer))
    trained = [variable.numpy() for variable in variables]
    if rule.ema_decay:
        library.assign_averages(optimizer, variables)
    return *trained, *[variable.numpy() for variable in variables], np.array(rates)


@pytest.mark.parametrize(
    "changed", [{}, {"clip_norm": 0.0}, {"ema_decay": 0.0}, {"rate_factors": {}}, {"weight_decay": 0.0}]
)
def test_both_libraries_make_the_same_updates(changed):
    rule = dataclasses.replace(RULE, **changed)

    for addons, keras in zip(updated(adamw_addons, rule), updated(adamw_keras, rule), strict=True):
        np.testing.assert_allclose(addons, keras, rtol=1e-6, atol=1e-6)
