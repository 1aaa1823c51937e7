"""A KerasTuner tuner that runs each trial in its own process."""

import shutil
import time
from multiprocessing.context import ForkServerContext
from multiprocessing.process import BaseProcess
from pathlib import Path

import keras_tuner
from keras_tuner.engine.base_tuner import BaseTuner
from keras_tuner.engine.trial import Trial as KerasTrial

from shiftvit.files import paths
from shiftvit.processes import describe_signal
from tuner import trial as trial_process
from tuner.oracles import make_objective
from tuner.results import FAILED
from tuner.search_folder import SearchFolder, TrialEnd, TrialFolder

_POLL_SECONDS = 0.1
_HANG_SECONDS = 900.0  # without progress of a trial
_REQUEST_SECONDS = 0.2  # between requests: KerasTuner would ask an idle chief a thousand times a second


class ProcessTuner(BaseTuner):
    """Runs trials until the chief has no more. KerasTuner reads the chief's address from the environment.

    Args:
        folder: of the search.
        context: starts the processes.
    """

    def __init__(self, folder: Path, context: ForkServerContext) -> None:
        self.folder, self.context = SearchFolder(folder), context
        self.task = self.folder.load_task()
        # Only its objective is used: all other requests go to the chief's oracle.
        oracle = keras_tuner.oracles.RandomSearchOracle(make_objective(self.task.tune.objective))
        super().__init__(oracle, directory=paths.plain(folder.parent), project_name=folder.name)

    def pre_create_trial(self) -> None:
        """Waits before each request for a trial."""
        time.sleep(_REQUEST_SECONDS)

    def save(self) -> None:
        """Saves nothing, because the chief does."""

    def run_trial(self, trial: KerasTrial) -> dict[str, float]:
        """Trains the trial and returns its objective after the last epoch.

        Raises:
            keras_tuner.errors.FailedTrialError: if the trial failed; names the cause.
            keras_tuner.errors.FatalError: if the disk is full. The trial has not ended then, and can be resumed.
        """
        own = self.folder.trial(trial.trial_id)
        own.path.mkdir(exist_ok=True)
        end = self._run(trial, own)
        if end.state == trial_process.DISK_FULL:
            raise keras_tuner.errors.FatalError(end.cause)
        own.write_end(end)
        if self.task.tune.algorithm != "hyperband":  # which may continue the trial later
            shutil.rmtree(own.state, ignore_errors=True)
        if end.state == FAILED:
            raise keras_tuner.errors.FailedTrialError(end.cause)
        objective = self.task.tune.objective
        return {objective: own.curve()[-1][objective]}

    def _run(self, trial: KerasTrial, own: TrialFolder) -> TrialEnd:
        receiver, sender = self.context.Pipe(duplex=False)
        arguments = (self.folder.path, trial.trial_id, trial.hyperparameters.values, self.tuner_id, sender)
        process = self.context.Process(target=trial_process.run, args=arguments)
        process.start()
        sender.close()
        killed = self._watch(process, own)
        if killed:
            return TrialEnd(FAILED, killed)
        try:
            return receiver.recv()
        except EOFError:
            return TrialEnd(FAILED, _describe_exit(process.exitcode))

    def _watch(self, process: BaseProcess, own: TrialFolder) -> str | None:
        """Waits for the process; kills it when it hangs or the time is over, and then returns the reason."""
        last_change, last_progress = time.monotonic(), None
        while process.is_alive():
            process.join(_POLL_SECONDS)
            progress = own.read_progress()
            if progress != last_progress:
                last_change, last_progress = time.monotonic(), progress
            if self.folder.stop.exists():
                return _kill(process, "the time of the search was over before it ended")
            if time.monotonic() - last_change > _HANG_SECONDS:
                return _kill(process, f"it hung: no progress for {_HANG_SECONDS / 60:.0f} minutes")
        return None


def _kill(process: BaseProcess, reason: str) -> str:
    process.kill()
    process.join()
    return reason


def _describe_exit(status: int | None) -> str:
    if status is not None and status < 0:
        return f"its process was ended by {describe_signal(status)}"
    return f"its process ended with exit status {status}; the log has the error"
