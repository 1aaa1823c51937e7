"""What the Trainer component runs."""

import hashlib
import json
import os
from collections.abc import Sequence
from typing import Any

import tensorflow as tf
from tfx.v1 import components as tfx_components

from shiftvit.callbacks import ReportProgress
from shiftvit.config import ExperimentConfig, from_dict, to_dict
from shiftvit.export import export
from shiftvit.train import HISTORY_FILE, train
from tuner.space import apply

EXPERIMENT_FILE = "experiment.json"  # in the ModelRun: what was trained, hyperparameters of the search included


def run_fn(fn_args: tfx_components.FnArgs) -> None:
    """Trains the experiment in `custom_config` with the best hyperparameters of the search, and exports the model."""
    config = fn_args.custom_config
    experiment = tuned(from_dict(ExperimentConfig, config["experiment"]), fn_args.hyperparameters)
    resume_dir = os.path.join(config["resume_root"], _key(experiment, fn_args.train_files))
    model = train(
        experiment,
        fn_args.train_files,
        fn_args.eval_files,
        resume_dir=resume_dir,
        callbacks=[
            tf.keras.callbacks.TensorBoard(fn_args.model_run_dir, write_graph=False),
            ReportProgress("train"),
        ],
    )
    export(model, experiment.model, config["class_names"], fn_args.serving_model_dir)
    _keep_records(experiment, resume_dir, fn_args.model_run_dir)


def tuned(experiment: ExperimentConfig, hyperparameters: dict[str, Any] | None) -> ExperimentConfig:
    """Returns the experiment with the search's hyperparameters, a KerasTuner config, if there are any."""
    if not hyperparameters:
        return experiment
    return apply(hyperparameters["values"], experiment)


def _key(experiment: ExperimentConfig, train_files: Sequence[str]) -> str:
    """Names the training by its content, so that a later execution of the same one finds what a killed one left."""
    content = json.dumps([to_dict(experiment), list(train_files)], sort_keys=True)
    return hashlib.sha256(content.encode()).hexdigest()[:16]


def _keep_records(experiment: ExperimentConfig, resume_dir: str, model_run_dir: str) -> None:
    with tf.io.gfile.GFile(os.path.join(model_run_dir, EXPERIMENT_FILE), "w") as file:
        json.dump(to_dict(experiment), file, indent=2)
    tf.io.gfile.copy(os.path.join(resume_dir, HISTORY_FILE), os.path.join(model_run_dir, HISTORY_FILE), overwrite=True)
    tf.io.gfile.rmtree(resume_dir)
