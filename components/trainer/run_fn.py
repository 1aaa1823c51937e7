"""The Trainer's `run_fn`: trains, exports, and keeps the record of both."""

from pathlib import Path
from typing import Any

import tensorflow as tf
from tfx.components.trainer.fn_args_utils import FnArgs

from components.trainer.config import TrainerConfig
from components.trainer.training import keep_records, resume_folder, train_and_export
from shiftvit.callbacks import ReportProgress
from shiftvit.config import ExperimentConfig, from_dict
from shiftvit.dataset import dataset_of_files
from shiftvit.files import states
from tuner.space import apply


def run_fn(fn_args: FnArgs) -> None:
    """Trains with the best hyperparameters of the search, if there was one, and exports the model."""
    config = from_dict(TrainerConfig, fn_args.custom_config)
    dataset = dataset_of_files(fn_args.train_files)
    experiment = tuned(config.experiment.for_data(dataset), fn_args.hyperparameters)  # in the order of the search
    resume_dir = resume_folder(config.resume_root, experiment, fn_args.train_files)
    train_and_export(
        experiment,
        fn_args.train_files,
        fn_args.eval_files,
        resume_dir=resume_dir,
        model_dir=fn_args.serving_model_dir,
        callbacks=[tf.keras.callbacks.TensorBoard(fn_args.model_run_dir, write_graph=False), ReportProgress("train")],
    )
    keep_records(experiment, resume_dir, fn_args.model_run_dir)
    states.prune(Path(config.resume_root).parent)


def tuned(experiment: ExperimentConfig, hyperparameters: dict[str, Any] | None) -> ExperimentConfig:
    """Returns the experiment with the hyperparameters of a KerasTuner config, or unchanged without one."""
    return apply(hyperparameters["values"], experiment) if hyperparameters else experiment
