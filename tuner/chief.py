"""The chief of a search: serves KerasTuner's oracle over gRPC and supervises the workers of this machine."""

import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence, Set
from concurrent import futures
from pathlib import Path

import grpc
from keras_tuner.src import protos
from keras_tuner.src.distribute.oracle_chief import OracleServicer

from shiftvit import processes, progress, proxies
from shiftvit.errors import ConfigError, UserError
from shiftvit.files import disk
from tuner.devices import DeviceSet
from tuner.oracles import RecoverableOracle
from tuner.worker import CHIEF_VARIABLES, DISK_FULL_STATUS, ID_VARIABLE

_MAX_DEATHS = 3  # of one worker while no trial ends
_GRACE_SECONDS = 10.0
_SILENT_SECONDS = 60.0  # a worker that loads TensorFlow on a busy machine has asked for a trial by then

Address = tuple[str, str]  # host and port


@contextlib.contextmanager
def serve(oracle: RecoverableOracle) -> Iterator[Address]:
    """Serves the oracle to workers; yields the chief's address.

    KerasTuner's environment variables set the address, so that workers of other hosts can connect. By default it is a
    free port that only this machine reaches.

    Raises:
        ConfigError: if the address of the environment is not available.
    """
    host, port = (os.environ.get(name) for name in CHIEF_VARIABLES)
    host = host or "127.0.0.1"
    proxies.bypass([host])
    server = grpc.server(futures.ThreadPoolExecutor(max_workers=1))
    protos.get_service_grpc().add_OracleServicer_to_server(OracleServicer(oracle), server)
    try:
        bound = server.add_insecure_port(f"{host}:{port or 0}")
    except RuntimeError as error:
        raise ConfigError(
            f"cannot listen at {host}:{port or 0} for the workers of the search; {' and '.join(CHIEF_VARIABLES)} "
            "must be an address of this machine and a free port"
        ) from error
    server.start()
    try:
        yield host, str(bound)
    finally:
        server.stop(grace=None)


class WorkerPool:
    """The workers of this machine: starts one per device set, replaces dead ones, stops all on exit."""

    def __init__(self, folder: Path, chief: Address, device_sets: Sequence[DeviceSet]) -> None:
        self.folder, self.chief, self.device_sets = folder, chief, device_sets
        self.deaths = [0] * len(device_sets)
        self.ended_trials = 0
        self.workers: list[subprocess.Popen] = []
        self.silent_since: dict[str, float] = {}  # by name: start of each worker that has not asked for a trial yet

    def __enter__(self) -> "WorkerPool":
        self.workers = [self._start(index) for index in range(len(self.device_sets))]
        return self

    def __exit__(self, *_: object) -> None:
        for worker in self.workers:
            processes.stop(worker, _GRACE_SECONDS)
            if worker.stdin:
                worker.stdin.close()

    def are_done(self) -> bool:
        """Returns True if all workers ended without an error."""
        return all(worker.poll() == 0 for worker in self.workers)

    def replace_dead(self, ended_trials: int) -> None:
        """Restarts each worker that died; the chief gives it its trial again.

        Args:
            ended_trials: their number so far; an increase forgives earlier deaths.

        Raises:
            UserError: if one died several times while no trial ended.
            DiskFullError: if the disk was full for one.
        """
        if ended_trials > self.ended_trials:
            self.ended_trials, self.deaths = ended_trials, [0] * len(self.device_sets)
        for index, worker in enumerate(self.workers):
            if worker.poll() == DISK_FULL_STATUS:
                raise disk.full_error(self.folder, "a trial of the search ran out of space")
            if worker.poll():
                self.deaths[index] += 1
                if self.deaths[index] == _MAX_DEATHS:
                    raise UserError(
                        f"worker {index} of the search died {_MAX_DEATHS} times in a row, last with exit status "
                        f"{worker.returncode}; see {_log()}"
                    )
                self.workers[index] = self._start(index)

    def name_silent(self, heard: Set[str]) -> None:
        """Reports, once, each worker that lives but does not ask for a trial.

        Args:
            heard: names of the workers that have asked for one.
        """
        for name, started in list(self.silent_since.items()):
            silent = time.monotonic() - started > _SILENT_SECONDS
            if silent and name not in heard:
                progress.note(f"{name} of the search has not asked for a trial for a minute; see {_log()}")
            if silent or name in heard:
                del self.silent_since[name]

    def _start(self, index: int) -> subprocess.Popen:
        devices = self.device_sets[index]
        chief = dict(zip(CHIEF_VARIABLES, self.chief, strict=True))
        # The worker finds the same modules as this process, whatever the working directory of either.
        path = {"PYTHONPATH": os.pathsep.join(map(os.path.abspath, sys.path))}
        name = f"worker{index}"
        self.silent_since[name] = time.monotonic()
        return subprocess.Popen(
            [*processes.python("tuner.worker"), str(self.folder), "--end-with-stdin", *devices.arguments],
            stdin=subprocess.PIPE,
            env={**os.environ, **path, **chief, **devices.environment, ID_VARIABLE: name},
        )


def _log() -> str:
    """Names where the output of the workers goes, which is that of this process."""
    target = os.path.realpath("/proc/self/fd/2")
    return target if os.path.isfile(target) else "its output"
