"""A training and what it leaves: the same for the Trainer component and for `shiftvit train`. Knows no TFX."""

import hashlib
import json
import os
from collections.abc import Sequence

import tensorflow as tf

from shiftvit.config import ExperimentConfig, to_dict
from shiftvit.export import export
from shiftvit.files import disk
from shiftvit.train import train
from shiftvit.training_record import EXPERIMENT_FILE, HISTORY_FILE

_GRAPH_BYTES = 4_000_000  # of a model of many blocks, beside its weights


def resume_folder(root: str, experiment: ExperimentConfig, train_files: Sequence[str]) -> str:
    """Returns a folder for the training by its content, so that the next attempt finds what a killed one left."""
    content = json.dumps([to_dict(experiment), list(train_files)], sort_keys=True)
    return os.path.join(root, hashlib.sha256(content.encode()).hexdigest()[:16])


def train_and_export(
    experiment: ExperimentConfig,
    train_files: Sequence[str],
    eval_files: Sequence[str],
    *,
    class_names: Sequence[str],
    resume_dir: str,
    model_dir: str,
    callbacks: Sequence[tf.keras.callbacks.Callback],
) -> None:
    """Trains, or goes on with what is in `resume_dir`, and writes the SavedModel.

    Raises:
        UserError: when training diverges.
        DiskFullError: when there is no room for its state or for the model.
    """
    model = train(experiment, train_files, eval_files, resume_dir=resume_dir, callbacks=callbacks)
    with disk.ensure_space(model_dir, 4 * model.count_params() + _GRAPH_BYTES, "the exported model"):
        export(model, experiment.model, class_names, model_dir)


def keep_records(experiment: ExperimentConfig, resume_dir: str, folder: str) -> None:
    """Writes to `folder` what was trained and how it went."""
    tf.io.gfile.makedirs(folder)
    with tf.io.gfile.GFile(os.path.join(folder, EXPERIMENT_FILE), "w") as file:
        json.dump(to_dict(experiment), file, indent=2)
    tf.io.gfile.copy(os.path.join(resume_dir, HISTORY_FILE), os.path.join(folder, HISTORY_FILE), overwrite=True)
