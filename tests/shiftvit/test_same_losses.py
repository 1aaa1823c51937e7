"""Ten updates from weights and images that depend on no library's random numbers: both stacks have the same losses."""

import json
from pathlib import Path

import numpy as np
import trainings
from known_data import CIFAR10

from shiftvit.train import compile_model

LOSSES = Path(__file__).parent / "data/ten_updates.json"  # of the classic stack


def test_ten_updates_have_the_losses_of_the_other_stack():
    random = np.random.RandomState(0)  # whose numbers never change, unlike those of a Generator
    model = compile_model(trainings.experiment(ema_decay=0.9, learning_rate=3e-4), CIFAR10, total_steps=10)
    weights = sorted(model.trainable_variables, key=lambda weight: weight.name)
    for weight in weights:
        weight.assign(("gamma" in weight.name) + random.normal(scale=0.1, size=weight.shape))
    losses = []
    for _ in range(10):
        images = random.randint(0, 256, (32, 32, 32, 3)).astype(np.uint8)
        losses.append(model.train_on_batch(images, random.randint(0, 10, 32), reset_metrics=True, return_dict=True))

    np.testing.assert_allclose([step["loss"] for step in losses], json.loads(LOSSES.read_text()), rtol=1e-5)
