"""`shiftvit train`: the training without the rest of the graph, on one machine or on the workers in TF_CONFIG."""

import argparse
import contextlib
import json
import re
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.cli.options import add_command, add_settings, folder_of, resolve
from pipeline.graph.nodes import Node
from pipeline.runs.events import Events
from shiftvit import features, progress
from shiftvit.cluster import TF_CONFIG, is_chief, read_cluster, wait_for_workers
from shiftvit.config import ExperimentConfig, require, to_dict
from shiftvit.dataset import EXTRA_FOLDER, read_dataset
from shiftvit.errors import DataError, UserError
from shiftvit.files import atomic, disk, states
from shiftvit.quiet import silence_libraries, silence_xla
from shiftvit.ranges import Range
from shiftvit.training_record import EXPERIMENT_FILE


@dataclass(frozen=True)
class Folders:
    """Folders of a training, the same for every worker."""

    records: Path  # an Examples artifact: a folder per split
    model: Path  # the SavedModel, written atomically
    state: Path  # checkpoints, from which a killed training resumes

    def files(self, split: str) -> list[str]:
        """Returns the patterns of a split's files."""
        return [f"{features.split_folder(self.records, split)}/*"]


def add(commands: Any) -> None:
    """Adds the command."""
    parser = add_command(commands, "train", _run, "train on ingested records, on one machine or several")
    for name, summary in (
        ("records", "folder of the examples that a run ingested, with Split-train and Split-eval"),
        ("model", "folder to create with the SavedModel when the training ends"),
        ("state", "folder for checkpoints, from which a killed training resumes; all workers need to share it"),
    ):
        parser.add_argument(f"--{name}", metavar="DIR", required=True, help=summary)
    wait = "minutes to wait for the other workers (default: %(default)g)"
    parser.add_argument("--wait", metavar="MINUTES", type=float, default=60.0, help=wait)
    add_settings(parser)


def refuse_cluster(command: str) -> None:
    """Raises ConfigError if TF_CONFIG names several workers, for a command that runs on one machine."""
    require(
        read_cluster() is None,
        f"{TF_CONFIG} names several workers, but `shiftvit {command}` runs on one machine; "
        "unset it, or train with `shiftvit train`",
    )


def _run(arguments: argparse.Namespace) -> int:
    """Trains, and prints where the model is.

    Raises:
        UserError: when the training fails for a reason that one sentence explains.
    """
    Range(0.0, 1e6).check(arguments.wait, "--wait")
    silence_libraries()
    from pipeline.runners import preflight

    config = resolve(arguments).with_absolute_paths()
    preflight.check_files(config.train)
    folders = Folders(*(folder_of(arguments, name).absolute() for name in ("records", "model", "state")))
    cluster = read_cluster()
    experiment = _fit(config.experiment, folders.records)
    if _is_trained(experiment, folders.model):
        print(f"Nothing to train: {folders.model} is the model of this training.")
        return 0
    with disk.explain_write_errors(f"--state {folders.state}"):
        folders.state.mkdir(parents=True, exist_ok=True)
    with _display() as events:
        if cluster:
            events.note(f"Waiting for the workers {', '.join(cluster.workers)}; this is {cluster.address}.")
            wait_for_workers(cluster, arguments.wait)
        import tensorflow as tf

        try:
            _train(experiment, folders, events)
        except tf.errors.OpError as error:
            lost = re.search(r"Collective ops is aborted by: (.+)", str(error))
            if cluster is None or lost is None:
                raise
            raise UserError(
                f"worker {cluster.index} of {len(cluster.workers)} lost the others ({lost[1]}); "
                f"start the command again on all workers to resume from {folders.state}"
            ) from error
    if is_chief():
        print(f"Trained {folders.model}.")
    return 0


def _fit(experiment: ExperimentConfig, records: Path) -> ExperimentConfig:
    """Returns the experiment made for the records; raises DataError if a split that training reads has no files."""
    for split in (features.TRAIN, features.EVAL):
        folder = features.split_folder(records, split)
        if not any(Path(folder).glob("*")):
            raise DataError(f"{folder}: holds no records; --records takes the examples that a run ingested")
    dataset = read_dataset(records)
    experiment.train.check_split(sum(dataset.class_counts[features.TRAIN]))
    return experiment.for_data(dataset)


def _is_trained(experiment: ExperimentConfig, model: Path) -> bool:
    """Returns whether the model of this training exists, as it does for a worker that was killed at the very end.

    Raises:
        ConfigError: if the folder has something else.
    """
    if not model.exists():
        return False
    record = model / EXTRA_FOLDER / EXPERIMENT_FILE
    require(
        record.is_file() and json.loads(record.read_text(encoding="utf-8")) == to_dict(experiment),
        f"--model {model}: exists and is not the model of this training; give another folder, or remove it",
    )
    return True


@contextlib.contextmanager
def _display() -> Iterator[Events]:
    """Shows events and progress on the chief's terminal only."""
    from pipeline.cli.terminal import show_stage

    if not is_chief():
        progress.LOGGER.propagate = False
        yield Events(lambda event: None)
        return
    with show_stage(Node.TRAINER) as events:
        yield events


def _train(experiment: ExperimentConfig, folders: Folders, events: Events) -> None:
    from components.trainer import training
    from shiftvit.callbacks import ReportProgress
    from shiftvit.strategy import barrier, make_strategy
    from shiftvit.train import check_initial_weights

    strategy = make_strategy(experiment.train.replicas)
    silence_xla()
    weights = experiment.train.initial_weights
    for sentence in check_initial_weights(experiment.model, weights) if weights else ():
        events.note(f"{weights}: {sentence}")
    train_files, eval_files = folders.files(features.TRAIN), folders.files(features.EVAL)
    resume_dir = training.resume_folder(str(folders.state), experiment, train_files)
    with _export_folder(folders.model) as folder:
        training.train_and_export(
            experiment,
            train_files,
            eval_files,
            resume_dir=resume_dir,
            model_dir=str(folder),
            callbacks=[ReportProgress("train")],
        )
        if is_chief():
            training.keep_records(experiment, resume_dir, str(folder / EXTRA_FOLDER))
    barrier(strategy)  # no worker ends, and none removes the state, before the model exists
    if is_chief():
        states.remove(Path(resume_dir))


@contextlib.contextmanager
def _export_folder(model: Path) -> Iterator[Path]:
    """Yields the folder to export to, which becomes the model's; workers other than the chief get a temporary one."""
    if not is_chief():
        with tempfile.TemporaryDirectory() as temporary:
            yield Path(temporary)
        return
    with contextlib.ExitStack() as stack:
        with disk.explain_write_errors(f"--model {model}"):
            folder = stack.enter_context(atomic.folder(model))
        yield folder
