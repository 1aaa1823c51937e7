"""Trainings small enough for tests, and a way to run them in a child process."""

import dataclasses
import json
import os
import subprocess
import sys
from pathlib import Path

from known_data import CIFAR10
from waiting import HANG_SECONDS

from shiftvit.config import DataConfig, ExperimentConfig, ModelConfig, TrainConfig, to_dict

ATTEMPT = Path(__file__).with_name("attempt.py")
ROOT = Path(__file__).parents[2]


def experiment(**train) -> ExperimentConfig:
    """Returns a tiny experiment without augmentation or dropout; the arguments override its TrainConfig."""
    small = ExperimentConfig(
        ModelConfig(patch_size=8, dims=(16, 32), depths=(1, 1), n_div=4, drop_path=0.0),
        DataConfig(crop_padding=0, flip=False),
        TrainConfig(**{"batch_size": 32, "learning_rate": 3e-3, "precision": "float32"} | train),
    )
    return small.for_data(CIFAR10)


def diverging_experiment() -> ExperimentConfig:
    """Returns an experiment whose every step multiplies the weights by about -99, until the loss is not finite."""
    return experiment(
        learning_rate=1.0, weight_decay=100.0, warmup_fraction=0.0, clip_norm=0.0, epochs=3, steps_per_epoch=64
    )


def random_experiment(**train) -> ExperimentConfig:
    """Returns the same experiment with all that is random: augmentation, dropout and drop path."""
    plain = experiment(**train)
    return dataclasses.replace(
        plain,
        model=dataclasses.replace(plain.model, drop_path=0.2, dropout=0.1),
        data=DataConfig(randaugment_ops=1, mixup=0.3, cutmix=0.3, erasing=0.3),
    )


def attempt(config: ExperimentConfig, examples, folder, kill_at: float | None = None) -> subprocess.CompletedProcess:
    """Trains in a child process, which is killed after `kill_at` epochs; returns the ended process."""
    task = {"config": to_dict(config), "examples": str(examples), "folder": str(folder), "kill_at": kill_at}
    return subprocess.run(
        [sys.executable, str(ATTEMPT), json.dumps(task)],
        capture_output=True,
        text=True,
        timeout=HANG_SECONDS,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
