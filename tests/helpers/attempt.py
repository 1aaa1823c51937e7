"""One attempt at a training, in a process of its own: `attempt.py TASK`, a JSON object; prints a JSON object.

TASK: `config` (of the experiment), `examples` (folder of an Examples artifact), `folder` (for what training writes)
and `kill_at`, the number of epochs after which the process kills itself as the kernel would, or null.
"""

import hashlib
import json
import logging
import os
import signal
import sys

from shiftvit import progress, train
from shiftvit.callbacks import ReportProgress
from shiftvit.config import ExperimentConfig, from_dict
from shiftvit.input_pipeline import evaluation_batches
from shiftvit.strategy import make_strategy


class Killer(logging.Handler):
    """Kills this process when `epochs` epochs are done."""

    def __init__(self, epochs: float):
        super().__init__()
        self.epochs = epochs

    def emit(self, record):
        """Takes a report of progress."""
        if getattr(record, progress.EVENT)["done"] >= self.epochs:
            os.kill(os.getpid(), signal.SIGKILL)


def main(task: dict) -> None:
    config = from_dict(ExperimentConfig, task["config"])
    if task.get("kill_at"):
        progress.LOGGER.addHandler(Killer(task["kill_at"]))
    train_files, eval_files = [f"{task['examples']}/Split-train/*"], [f"{task['examples']}/Split-eval/*"]
    model = train.train(
        config,
        train_files,
        eval_files,
        resume_dir=f"{task['folder']}/resume",
        callbacks=[ReportProgress("train")],
    )
    epochs = model.history.epoch  # those of this attempt; evaluate replaces the history
    evaluated = model.evaluate(evaluation_batches(eval_files, config.train.batch_size), verbose=0, return_dict=True)
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
    """Returns what changes with any bit of any weight."""
    return hashlib.sha256(b"".join(weight.tobytes() for weight in model.get_weights())).hexdigest()


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
