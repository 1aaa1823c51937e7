"""Trains and exports, for the Trainer component and for `shiftvit train` alike. Imports no TFX."""

import contextlib
import hashlib
import json
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import tensorflow as tf

from shiftvit.callbacks import CheckLease
from shiftvit.cluster import is_chief
from shiftvit.config import ExperimentConfig, to_dict
from shiftvit.dataset import dataset_of_files
from shiftvit.export import export
from shiftvit.files import disk, lease, paths, states
from shiftvit.stack import STACK
from shiftvit.train import train
from shiftvit.training_record import EXPERIMENT_FILE, HISTORY_FILE

_GRAPH_BYTES = 4_000_000  # of a SavedModel beside its weights, generously


def resume_folder(root: str, experiment: ExperimentConfig, train_files: Sequence[str]) -> str:
    """Returns the folder for the state of this training, named by a digest so that a later attempt resumes from it.

    The digest stays the same if the folder and the files move together.

    A later attempt on the other stack starts anew: it cannot read the state of the optimizer.
    """
    files = [paths.relative(file, root) for file in train_files]
    content = json.dumps([to_dict(experiment), files, STACK], sort_keys=True)
    return os.path.join(root, hashlib.sha256(content.encode()).hexdigest()[:16])


def train_and_export(
    experiment: ExperimentConfig,
    train_files: Sequence[str],
    eval_files: Sequence[str],
    *,
    resume_dir: str,
    model_dir: str,
    callbacks: Sequence[tf.keras.callbacks.Callback],
) -> None:
    """Trains, resuming from `resume_dir` if it holds a state, and writes the SavedModel to `model_dir`.

    The state stays, because the model may still get lost on its way from `model_dir`: a repetition finds the training
    complete and only exports again. Of two trainings with one `resume_dir`, the second waits and does the same.

    `experiment` must be made for the data with `ExperimentConfig.for_data`.

    Raises:
        UserError: if training diverges.
        DiskFullError: if there is no room for the state or the model.
    """
    with _sole_use(resume_dir) as checks:
        model = train(experiment, train_files, eval_files, resume_dir=resume_dir, callbacks=[*checks, *callbacks])
        with disk.ensure_space(model_dir, 4 * model.count_params() + _GRAPH_BYTES, "the exported model"):
            export(model, experiment.model, dataset_of_files(train_files), model_dir)


@contextlib.contextmanager
def _sole_use(resume_dir: str) -> Iterator[list[tf.keras.callbacks.Callback]]:
    """Holds the folder for this training, whose other workers need no lease; marks it as finished in the end."""
    if not is_chief():
        yield []
        return
    with lease.hold(Path(resume_dir)) as held:
        yield [CheckLease(held)]
        states.mark_finished(Path(resume_dir))


def keep_records(experiment: ExperimentConfig, resume_dir: str, folder: str) -> None:
    """Writes the experiment and its history to `folder`."""
    tf.io.gfile.makedirs(folder)
    with tf.io.gfile.GFile(os.path.join(folder, EXPERIMENT_FILE), "w") as file:
        json.dump(to_dict(experiment), file, indent=2)
    tf.io.gfile.copy(os.path.join(resume_dir, HISTORY_FILE), os.path.join(folder, HISTORY_FILE), overwrite=True)
