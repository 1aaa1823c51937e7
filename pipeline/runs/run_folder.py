"""The folder of a run: creating it, and finding out whether the run is alive."""

import contextlib
import dataclasses
import itertools
import time
from pathlib import Path

from pipeline.config import config_file
from pipeline.config.settings import PipelineConfig
from pipeline.runs.workspace import RunFolder, Workspace
from shiftvit.files import disk, locks

_MIN_FREE = 1_000_000  # bytes, for the run's folder and ML Metadata


def create(config: PipelineConfig) -> RunFolder:
    """Creates the folder of a new run, with its resolved configuration; paths in it become absolute.

    Raises:
        ConfigError: when the workspace cannot be written.
        DiskFullError: when its disk is full.
    """
    config = config.with_absolute_paths()
    runs = Workspace(Path(config.workspace)).runs
    explained = disk.explain_write_errors(f"--workspace {config.workspace}")
    with disk.ensure_space(config.workspace, _MIN_FREE, "the run's folder"), explained:
        runs.mkdir(parents=True, exist_ok=True)
        folder = RunFolder(_make_folder(runs, time.strftime("%Y%m%d-%H%M%S")))
        config_file.save(config, folder.config)
    return folder


def in_its_workspace(config: PipelineConfig, file: Path) -> PipelineConfig:
    """Returns the configuration with the workspace that its file is in, if the file is that of a run.

    The file names the workspace where it was when the run was made; it may have moved since, or be a copy.
    """
    folder = RunFolder(file.resolve().parent)
    workspace = Workspace(folder.path.parent.parent)
    is_of_run = file.name == folder.config.name and folder.path.parent == workspace.runs and workspace.lock.exists()
    return dataclasses.replace(config, workspace=str(workspace.root)) if is_of_run else config


def _make_folder(runs: Path, stamp: str) -> Path:
    """Creates a folder named after the stamp, with a number if another run started in the same second."""
    for attempt in itertools.count(1):
        path = runs / (stamp if attempt == 1 else f"{stamp}-{attempt}")
        with contextlib.suppress(FileExistsError):
            path.mkdir()
            break
    return path


def is_alive(folder: RunFolder) -> bool:
    """Returns whether a process of the run is alive: they share a lock on the log, which ends with the last of them."""
    try:
        with folder.log.open("rb") as log:
            return not locks.acquire(log, shared=True, wait=False)
    except FileNotFoundError:
        return False
