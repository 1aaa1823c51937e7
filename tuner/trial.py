"""One trial, in a process of its own: what it allocates goes when it ends, and what kills it kills nothing else."""

import logging
import os
import shutil
import threading
import time
from collections.abc import Mapping, Sequence
from multiprocessing import parent_process
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any

import tensorflow as tf

from shiftvit import progress
from shiftvit.callbacks import ReportProgress
from shiftvit.errors import DiskFullError, UserError
from shiftvit.files import atomic
from shiftvit.metrics import OBJECTIVES
from shiftvit.train import train
from tuner.results import COMPLETED, FAILED, STOPPED
from tuner.search_folder import SearchFolder, Task, TrialFolder, read_if_there, write_whole
from tuner.space import apply
from tuner.stopping import StopHopeless

NO_ROOM = "no room"  # the state of a trial that is no more at fault for a full disk than the others

_OOM_SCORE = Path("/proc/self/oom_score_adj")


def run(path: Path, trial_id: str, values: Mapping[str, Any], worker: str, result: Connection) -> None:
    """Trains the setting `values` in the search's folder `path`, and sends its state and cause through `result`."""
    _end_with_parent()
    _prefer_as_oom_victim()
    folder = SearchFolder(path)
    try:
        _train(folder, trial_id, values, worker, result)
    except DiskFullError as error:
        result.send((NO_ROOM, str(error)))
    except UserError as error:
        result.send((FAILED, str(error)))
    except Exception as error:
        result.send((FAILED, _in_a_line(error)))
        raise


def _train(folder: SearchFolder, trial_id: str, values: Mapping[str, Any], worker: str, result: Connection) -> None:
    task, own = folder.load_task(), folder.trial(trial_id)
    progress.LOGGER.addHandler(KeepProgress(own, worker))
    if "tuner/trial_id" in values and not own.state.exists():
        _go_on_from(folder.trial(values["tuner/trial_id"]), own)
    rule = _stopping_rule(task, folder, trial_id)
    train(
        apply(values, task.experiment),
        task.train_files,
        task.eval_files,
        resume_dir=str(own.path),
        callbacks=[*rule, ReportProgress("trial"), EndProcess(rule, result)],
        until_epoch=values.get("tuner/epochs"),
    )


def _stopping_rule(task: Task, folder: SearchFolder, trial_id: str) -> list[StopHopeless]:
    if not task.tune.early_stop or task.tune.algorithm == "hyperband":
        return []
    objective = task.tune.objective
    return [StopHopeless(folder, trial_id, objective, OBJECTIVES[objective])]


def _go_on_from(earlier: TrialFolder, own: TrialFolder) -> None:
    """Takes over what Hyperband wants to train further; where that is gone, training starts anew."""
    if earlier.state.exists():
        atomic.write_file(own.history, earlier.history.read_bytes())
        with atomic.folder(own.state) as state:
            shutil.copytree(earlier.state, state, dirs_exist_ok=True)


class EndProcess(tf.keras.callbacks.Callback):
    """Sends the outcome and ends the process after the last epoch: no one needs the model that `fit` would return.

    On its way out, `fit` takes its input pipeline down, which takes seconds, longer than many an epoch.
    """

    def __init__(self, rule: Sequence[StopHopeless], result: Connection):
        super().__init__()
        self.rule, self.result = rule, result

    def on_train_end(self, logs=None):
        """Ends the process."""
        causes = [stopping.reason for stopping in self.rule if stopping.reason]
        self.result.send((STOPPED, causes[0]) if causes else (COMPLETED, None))
        logging.shutdown()
        os._exit(0)


class KeepProgress(logging.Handler):
    """Writes reports of progress into the trial's folder, about once a second; earlier attempts' time is added."""

    def __init__(self, folder: TrialFolder, worker: str):
        super().__init__()
        self.folder, self.worker = folder, worker
        self.before = read_if_there(folder.progress).get("seconds", 0.0)
        self.started = self.written = time.monotonic()

    def emit(self, record: logging.LogRecord) -> None:
        """Takes a report."""
        facts, now = getattr(record, progress.EVENT), time.monotonic()
        if now - self.written >= 1 or facts["done"] == round(facts["done"]):
            self.written = now
            seconds = round(self.before + now - self.started, 1)
            write_whole(
                self.folder.progress,
                {"epochs": facts["done"], "of": facts["total"], "seconds": seconds, "worker": self.worker},
            )


def _end_with_parent() -> None:
    """A worker that was killed cannot end its trial, and no one would hear of what the trial finds."""

    def watch():
        wait([parent_process().sentinel])
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def _prefer_as_oom_victim() -> None:
    """Has the kernel end the trial, and not the search, when the machine's memory runs out."""
    if _OOM_SCORE.exists():
        _OOM_SCORE.write_text("1000")


def _in_a_line(error: Exception) -> str:
    """Returns the line that tells what was wrong: TensorFlow puts headings, and whole tracebacks, before it."""
    lines = [line for line in str(error).splitlines() if line.strip()] or [""]
    telling = [line for line in lines if not line.startswith((" ", "<")) and not line.endswith(":")] or lines[-1:]
    return f"{type(error).__name__}: {telling[0].strip()[:300]}"
