"""Runs a training as a program: `attempt.py TASK`, where TASK is a JSON object; prints a JSON object.

TASK has `config` (the experiment), `examples` (folder of an Examples artifact), `folder` (for the results: the state to
resume from, and weights.npz, the weights at the end as an official state dict) and `kill_at` (number of epochs after
which the process sends itself SIGKILL, or null).
"""

import hashlib
import json
import logging
import os
import signal
import sys

import numpy as np
from known_data import CIFAR10

from shiftvit import progress, train
from shiftvit.callbacks import ReportProgress
from shiftvit.config import ExperimentConfig, from_dict
from shiftvit.features import EVAL, TRAIN, split_folder
from shiftvit.input_pipeline import evaluation_batches
from shiftvit.model import NETWORK
from shiftvit.official_weights import to_official
from shiftvit.strategy import make_strategy


class Killer(logging.Handler):
    """Kills this process once so many epochs are finished."""

    def __init__(self, epochs: float):
        super().__init__()
        self.epochs = epochs

    def emit(self, record):
        if getattr(record, progress.EVENT)["done"] >= self.epochs:
            os.kill(os.getpid(), signal.SIGKILL)


def main(task: dict) -> None:
    config = from_dict(ExperimentConfig, task["config"])
    if task.get("kill_at"):
        progress.LOGGER.addHandler(Killer(task["kill_at"]))
    train_files, eval_files = ([f"{split_folder(task['examples'], split)}/*"] for split in (TRAIN, EVAL))
    model = train.train(
        config,
        train_files,
        eval_files,
        resume_dir=f"{task['folder']}/resume",
        callbacks=[ReportProgress("train")],
    )
    np.savez(f"{task['folder']}/weights.npz", **to_official(model.get_layer(NETWORK)))
    epochs = model.history.epoch  # of this attempt; read before `evaluate` replaces the history
    evaluated = model.evaluate(
        evaluation_batches(eval_files, CIFAR10, config.train.batch_size), verbose=0, return_dict=True
    )
    print(
        json.dumps(
            {
                "epochs": epochs,
                "updates": int(model.optimizer.iterations.numpy()),
                "eval_loss": evaluated["loss"],
                "weights": digest(model),
                "replicas": make_strategy(config.train.replicas).num_replicas_in_sync,
            }
        )
    )


def digest(model) -> str:
    """Returns a hash of all weights."""
    return hashlib.sha256(b"".join(weight.tobytes() for weight in model.get_weights())).hexdigest()


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
