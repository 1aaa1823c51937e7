"""Creates the folder of a run, and finds out whether the run is alive."""

import time
from pathlib import Path

from pipeline.config import config_file
from pipeline.config.locations import locate
from pipeline.config.settings import PipelineConfig
from pipeline.runs.workspace import RunFolder, Workspace
from shiftvit.errors import ConfigError
from shiftvit.files import disk, locks

_BEGINNING = 1_000_000  # bytes, for the run's folder and ML Metadata


def create(config: PipelineConfig) -> RunFolder:
    """Makes the folder of a new run, with its resolved configuration, which means the same from every folder.

    Raises:
        ConfigError: when the workspace cannot be written.
        DiskFullError: when it has no room.
    """
    config = locate(config)
    with disk.ensure_space(config.workspace, _BEGINNING, "the run's folder"):
        return _create(config)


def _create(config: PipelineConfig) -> RunFolder:
    runs = Workspace(Path(config.workspace)).runs
    stamp = time.strftime("%Y%m%d-%H%M%S")
    try:
        runs.mkdir(parents=True, exist_ok=True)
        folder = RunFolder(_make_unused(runs, stamp))
        config_file.save(config, folder.config)
    except OSError as error:
        raise ConfigError(f"--workspace {config.workspace}: cannot write there ({error.strerror})") from error
    return folder


def _make_unused(runs: Path, stamp: str) -> Path:
    attempt = 1
    while True:
        path = runs / (stamp if attempt == 1 else f"{stamp}-{attempt}")
        try:
            path.mkdir()
            return path
        except FileExistsError:
            attempt += 1


def is_alive(folder: RunFolder) -> bool:
    """Says whether a process of that run lives: each of them holds the lock of the log, which ends with the last."""
    try:
        with folder.log.open("rb") as log:
            return not locks.acquire(log, shared=True, wait=False)
    except FileNotFoundError:
        return False
