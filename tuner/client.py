"""KerasTuner's side of a worker: a tuner whose trials are processes."""

import shutil
import signal
import time
from multiprocessing.context import BaseContext
from multiprocessing.process import BaseProcess
from pathlib import Path

import keras_tuner
from keras_tuner.engine.base_tuner import BaseTuner

from shiftvit.metrics import OBJECTIVES
from tuner import trial as trial_process
from tuner.results import FAILED
from tuner.search_folder import SearchFolder, TrialFolder, read_if_there, write_whole

_POLL = 0.1  # seconds
_HANGS_AFTER = 900.0  # seconds without a word from a trial
_BETWEEN_REQUESTS = 0.2  # seconds: KerasTuner would ask a chief that has nothing to do a thousand times a second


class Worker(BaseTuner):
    """Runs trials until the chief has no more; where and who the chief is, KerasTuner reads from the environment."""

    def __init__(self, folder: Path, context: BaseContext):
        self.folder, self.context = SearchFolder(folder), context
        self.task = self.folder.load_task()
        # Asked for nothing but its objective: all else goes to the chief's oracle.
        objective = self.task.tune.objective
        direction = "max" if OBJECTIVES[objective] else "min"
        oracle = keras_tuner.oracles.RandomSearchOracle(keras_tuner.Objective(objective, direction))
        super().__init__(oracle, directory=str(folder.parent), project_name=folder.name)

    def pre_create_trial(self) -> None:
        """Waits a little before each request."""
        time.sleep(_BETWEEN_REQUESTS)

    def save(self) -> None:
        """Keeps nothing: the chief does."""

    def run_trial(self, trial) -> dict[str, float]:
        """Trains the trial in a process of its own and returns the objective after its last epoch.

        Raises:
            keras_tuner.errors.FailedTrialError: with the cause, when it failed.
            keras_tuner.errors.FatalError: when the disk is full: the trial has not ended, and goes on some other time.
        """
        own = self.folder.trial(trial.trial_id)
        own.path.mkdir(exist_ok=True)
        state, cause = self._run(trial, own)
        if state == trial_process.NO_ROOM:
            raise keras_tuner.errors.FatalError(cause)
        write_whole(own.end, {"state": state, "cause": cause})
        if self.task.tune.algorithm != "hyperband":  # which may go on from it
            shutil.rmtree(own.state, ignore_errors=True)
        if state == FAILED:
            raise keras_tuner.errors.FailedTrialError(cause)
        objective = self.task.tune.objective
        return {objective: own.curve()[-1][objective]}

    def _run(self, trial, own: TrialFolder) -> tuple[str, str | None]:
        receiving, sending = self.context.Pipe(duplex=False)
        arguments = (self.folder.path, trial.trial_id, trial.hyperparameters.values, self.tuner_id, sending)
        process = self.context.Process(target=trial_process.run, args=arguments)
        process.start()
        sending.close()
        ended = self._watch(process, own)
        if ended:
            return FAILED, ended
        try:
            return receiving.recv()
        except EOFError:
            return FAILED, _describe_exit(process.exitcode)

    def _watch(self, process: BaseProcess, own: TrialFolder) -> str | None:
        """Waits for the process, and returns why it was ended, if it was."""
        heard, told = time.monotonic(), None
        while process.is_alive():
            process.join(_POLL)
            newest = read_if_there(own.progress)
            if newest != told:
                heard, told = time.monotonic(), newest
            if self.folder.stop.exists():
                return _end(process, "the time of the search was over before it ended")
            if time.monotonic() - heard > _HANGS_AFTER:
                return _end(process, f"it hung: no word of progress for {_HANGS_AFTER / 60:.0f} minutes")
        return None


def _end(process: BaseProcess, cause: str) -> str:
    process.kill()
    process.join()
    return cause


def _describe_exit(status: int) -> str:
    if status >= 0:
        return f"its process ended with exit status {status}; the log says more"
    name = signal.Signals(-status).name
    hint = ", which is what happens when memory runs out" if status == -signal.SIGKILL else ""
    return f"its process was ended by {name}{hint}"
