"""`shiftvit train`: the Trainer's work alone, on this machine or on every worker that TF_CONFIG names."""

import argparse
import contextlib
import json
import re
import shutil
import signal
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from components.serving_folder import EXTRA_FOLDER
from pipeline.cli.options import add_command, add_settings, resolve
from pipeline.config.locations import locate
from pipeline.config.settings import PipelineConfig
from pipeline.runs.events import Events
from shiftvit import features, progress
from shiftvit.cluster import TF_CONFIG, is_chief, read_cluster, wait_for_workers
from shiftvit.config import ExperimentConfig, require, to_dict
from shiftvit.errors import ConfigError, DataError, UserError
from shiftvit.files import atomic
from shiftvit.quiet import hush_libraries, hush_xla
from shiftvit.training_record import EXPERIMENT_FILE

_EPILOG = """Start it on every worker with the same options and, in TF_CONFIG, the same cluster: the first worker shows
how far it is and writes the model. If one dies, the others end too; started again, all go on after the last epoch.

examples:
  shiftvit train --records workspace/artifacts/Cifar10ExampleGen/examples/1 --model model --state state
  TF_CONFIG='{"cluster": {"worker": ["10.0.0.1:2222", "10.0.0.2:2222"]}, "task": {"type": "worker", "index": 0}}' \\
      shiftvit train --preset cifar10 --records /data/examples --model /data/model --state /data/state
"""


@dataclass(frozen=True)
class Places:
    """Where a training reads and writes; the same for every worker."""

    records: Path  # an Examples artifact: a folder for each split
    model: Path  # the SavedModel, which appears whole
    state: Path  # holds what a killed training resumes from

    def files(self, split: str) -> list[str]:
        """Returns the patterns of a split's files."""
        return [f"{self.records}/Split-{split}/*"]


def add(commands: Any) -> None:
    """Adds the command."""
    parser = add_command(
        commands, "train", _run, "train on ingested records, alone or with other workers", epilog=_EPILOG
    )
    for name, what in (
        ("records", "folder of records that a run has ingested, with Split-train and Split-eval"),
        ("model", "folder to write the SavedModel to; appears whole, at the end"),
        ("state", "folder for what a killed training resumes from; every worker needs to see the same one"),
    ):
        parser.add_argument(f"--{name}", metavar="DIR", type=Path, required=True, help=what)
    parser.add_argument(
        "--wait", metavar="MINUTES", type=float, default=60.0, help="for the other workers (default: %(default)g)"
    )
    add_settings(parser)


def refuse_cluster(command: str) -> None:
    """Raises ConfigError where TF_CONFIG names several workers, whom `command` would wait for in vain."""
    require(
        read_cluster() is None,
        f"{TF_CONFIG} names several workers, but `shiftvit {command}` runs on one machine: "
        f"unset it, or train with `shiftvit train`",
    )


def _run(arguments: argparse.Namespace) -> int:
    """Trains, and tells what came of it.

    Raises:
        UserError: when the training fails in a way that a sentence explains.
    """
    hush_libraries()
    config = locate(resolve(arguments))
    places = Places(*(path.expanduser().absolute() for path in (arguments.records, arguments.model, arguments.state)))
    cluster = read_cluster()
    class_names = _read_class_names(places.records)
    if _is_trained(config.experiment, places.model):
        print(f"Nothing to train: {places.model} is the model of this training.")
        return 0
    with _told_of(f"--state {places.state}"):
        places.state.mkdir(parents=True, exist_ok=True)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # by default, the first process of a container ignores it
    with _display() as events:
        if cluster:
            events.note(f"Waiting for all of {', '.join(cluster.workers)}; this is {cluster.address}.")
            wait_for_workers(cluster, arguments.wait)
        import tensorflow as tf

        try:
            _train(config, places, class_names, events)
        except tf.errors.OpError as error:
            cause = _loss_of_others(error)
            if cluster is None or cause is None:
                raise
            raise UserError(
                f"worker {cluster.index} of {len(cluster.workers)} lost the others ({cause}); "
                f"started again on all, the training goes on with what {places.state} holds"
            ) from error
    if is_chief():
        print(f"Trained {places.model}.")
    return 0


def _read_class_names(records: Path) -> list[str]:
    """Returns the names, and raises DataError where there are no records."""
    for split in (features.TRAIN, features.EVAL):
        if not any((records / f"Split-{split}").glob("*")):
            raise DataError(
                f"{records}/Split-{split}: holds no records; --records takes the examples that a run ingested"
            )
    path = records / features.CLASS_NAMES_FILE
    try:
        names = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: cannot be read ({error}); ingest the data again, or write it") from error
    if not (isinstance(names, list) and len(names) == features.NUM_CLASSES and all(isinstance(n, str) for n in names)):
        raise DataError(f"{path}: must list the {features.NUM_CLASSES} names of the classes, as JSON")
    return names


def _is_trained(experiment: ExperimentConfig, model: Path) -> bool:
    """Says whether `model` is what the training of `experiment` made: then a worker that was killed late is done."""
    if not model.exists():
        return False
    record = model / EXTRA_FOLDER / EXPERIMENT_FILE
    require(
        record.is_file() and json.loads(record.read_text()) == to_dict(experiment),
        f"--model {model}: is there already, and not of this training; give another folder, or remove it",
    )
    return True


def _loss_of_others(error: Exception) -> str | None:
    """Returns the line that tells why workers lost one another, which TensorFlow hides among many, or None."""
    aborted = re.search(r"Collective ops is aborted by: (.+)", error.message)
    return aborted[1] if aborted else None


@contextlib.contextmanager
def _display() -> Iterator[Events]:
    """Shows events and progress on the terminal, those of the chief alone."""
    from pipeline.cli.terminal import show_stage

    if not is_chief():
        progress.LOGGER.propagate = False
        yield Events(lambda event: None)
        return
    with show_stage("Trainer") as events:
        yield events


def _train(config: PipelineConfig, places: Places, class_names: list[str], events: Events) -> None:
    from components.trainer import training
    from shiftvit.callbacks import ReportProgress
    from shiftvit.strategy import barrier, make_strategy
    from shiftvit.train import check_initial_weights

    strategy = make_strategy(config.train.replicas)
    hush_xla()
    if config.train.initial_weights:
        for sentence in check_initial_weights(config.experiment):
            events.note(f"{config.train.initial_weights}: {sentence}")
    train_files, eval_files = places.files(features.TRAIN), places.files(features.EVAL)
    resume_dir = training.resume_folder(str(places.state), config.experiment, train_files)
    with _unfinished(places.model) as folder:
        training.train_and_export(
            config.experiment,
            train_files,
            eval_files,
            class_names=class_names,
            resume_dir=resume_dir,
            model_dir=str(folder),
            callbacks=[ReportProgress("train")],
        )
        if is_chief():
            training.keep_records(config.experiment, resume_dir, str(folder / EXTRA_FOLDER))
    barrier(strategy)  # no worker is done, and none removes anything, before the model is there
    if is_chief():
        shutil.rmtree(resume_dir)


@contextlib.contextmanager
def _unfinished(model: Path) -> Iterator[Path]:
    """Gives the folder to export to: beside the model's, or for all but the chief one that nobody reads."""
    if not is_chief():
        with tempfile.TemporaryDirectory() as folder:
            yield Path(folder)
        return
    with contextlib.ExitStack() as stack:
        with _told_of(f"--model {model}"):
            folder = stack.enter_context(atomic.folder(model))
        yield folder


@contextlib.contextmanager
def _told_of(option: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise ConfigError(f"{option}: cannot write there ({error.strerror})") from error
