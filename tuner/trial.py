"""One trial, in its own process, so that its memory is freed when it ends and a crash ends nothing else."""

import logging
import os
import shutil
import threading
import time
from collections.abc import Mapping
from multiprocessing import parent_process
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import tensorflow as tf

from shiftvit import progress
from shiftvit.callbacks import Logs, ReportProgress
from shiftvit.errors import DiskFullError, UserError
from shiftvit.files import atomic
from shiftvit.train import train
from tuner.results import COMPLETED, FAILED, STOPPED
from tuner.search_folder import SearchFolder, TrialEnd, TrialFolder, TrialProgress
from tuner.space import apply
from tuner.stopping import MedianStopping

DISK_FULL = "disk full"  # a state besides those of `tuner.results`: not the trial's fault, so it has not ended

_OOM_SCORE = Path("/proc/self/oom_score_adj")


def run(path: Path, trial_id: str, values: Mapping[str, Any], worker: str, sender: Connection) -> None:
    """Trains a trial and sends its TrialEnd.

    Args:
        path: folder of the search.
        trial_id: KerasTuner's.
        values: by hyperparameter, with Hyperband's bookkeeping.
        worker: name of the worker.
        sender: receives the TrialEnd.
    """
    _end_with_parent()
    _prefer_as_oom_victim()
    folder = SearchFolder(path)
    try:
        _train(folder, trial_id, values, worker, sender)
    except DiskFullError as error:
        sender.send(TrialEnd(DISK_FULL, str(error)))
    except UserError as error:
        sender.send(TrialEnd(FAILED, str(error)))
    except Exception as error:
        sender.send(TrialEnd(FAILED, _summarize(error)))
        raise


def _train(folder: SearchFolder, trial_id: str, values: Mapping[str, Any], worker: str, sender: Connection) -> None:
    task, own = folder.load_task(), folder.trial(trial_id)
    progress.LOGGER.addHandler(ProgressFileHandler(own, worker))
    if "tuner/trial_id" in values and not own.state.exists():
        _copy_state(folder.trial(values["tuner/trial_id"]), own)
    tune = task.tune
    early_stop = tune.early_stop and tune.algorithm != "hyperband"
    stopping = MedianStopping(folder, trial_id, tune.objective) if early_stop else None
    train(
        apply(values, task.experiment),
        task.train_files,
        task.eval_files,
        resume_dir=str(own.path),
        callbacks=[*([stopping] if stopping else []), ReportProgress("trial"), ExitAfterTraining(stopping, sender)],
        until_epoch=values.get("tuner/epochs"),
    )


def _copy_state(earlier: TrialFolder, own: TrialFolder) -> None:
    """Copies the trial that Hyperband continues; if its checkpoint is gone, training starts from the beginning."""
    if earlier.state.exists():
        atomic.write_file(own.history, earlier.history.read_bytes())
        with atomic.folder(own.state) as state:
            shutil.copytree(earlier.state, state, dirs_exist_ok=True)


class ExitAfterTraining(tf.keras.callbacks.Callback):
    """Sends the TrialEnd and exits after the last epoch, because nothing needs the model that `fit` would return.

    Before it returns, `fit` tears down its input pipeline for seconds, often longer than an epoch of a trial.
    """

    def __init__(self, stopping: MedianStopping | None, sender: Connection) -> None:
        super().__init__()
        self.stopping, self.sender = stopping, sender

    def on_train_end(self, logs: Logs | None = None) -> None:
        reason = self.stopping.reason if self.stopping else None
        self.sender.send(TrialEnd(STOPPED, reason) if reason else TrialEnd(COMPLETED))
        logging.shutdown()
        os._exit(0)


class ProgressFileHandler(logging.Handler):
    """Writes progress to the trial's folder about once a second; the time includes that of earlier attempts."""

    def __init__(self, folder: TrialFolder, worker: str) -> None:
        super().__init__()
        self.folder, self.worker = folder, worker
        earlier = folder.read_progress()
        self.earlier_seconds = earlier.seconds if earlier else 0.0
        self.started = self.written = time.monotonic()

    def emit(self, record: logging.LogRecord) -> None:
        event, now = getattr(record, progress.EVENT), time.monotonic()
        if now - self.written >= 1 or event["done"] == round(event["done"]):
            self.written = now
            seconds = round(self.earlier_seconds + now - self.started, 1)
            self.folder.write_progress(TrialProgress(event["done"], event["total"], seconds, self.worker))


def _end_with_parent() -> None:
    """Exits when the worker dies, since a killed worker can neither end its trial nor report the result."""

    def watch(parent: BaseProcess) -> None:
        parent.join()
        os._exit(1)

    if parent := parent_process():
        threading.Thread(target=watch, args=[parent], daemon=True).start()


def _prefer_as_oom_victim() -> None:
    """Makes the kernel kill the trial, not the search, when the machine runs out of memory."""
    if _OOM_SCORE.exists():
        _OOM_SCORE.write_text("1000", encoding="utf-8")


def _summarize(error: Exception) -> str:
    """Returns the line that names the error, without the headings and tracebacks that TensorFlow puts before it."""
    lines = [line for line in str(error).splitlines() if line.strip()] or [""]
    candidates = [line for line in lines if not line.startswith((" ", "<")) and not line.endswith(":")] or lines[-1:]
    return f"{type(error).__name__}: {candidates[0].strip()[:300]}"
