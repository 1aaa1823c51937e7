"""The chief of a search: KerasTuner's oracle behind its own gRPC service, and the workers of this machine."""

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator
from concurrent import futures
from pathlib import Path

import grpc
from keras_tuner.src import protos
from keras_tuner.src.distribute.oracle_chief import OracleServicer

from shiftvit.errors import ConfigError, UserError
from shiftvit.files import disk
from tuner.devices import Share
from tuner.oracles import Recoverable
from tuner.worker import CHIEF_VARIABLES, ID_VARIABLE, NO_ROOM

_ATTEMPTS = 3  # of a worker that dies again and again, without a trial that ends between
_GRACE = 10.0  # seconds


@contextlib.contextmanager
def serve(oracle: Recoverable) -> Iterator[tuple[str, str]]:
    """Serves the oracle to workers; yields the chief's address and port.

    They are those of the environment, where it has KerasTuner's variables, so that workers of other hosts may come;
    otherwise a free port that only this machine reaches.

    Raises:
        ConfigError: when the environment's cannot be had.
    """
    address, port = (os.environ.get(name) for name in CHIEF_VARIABLES)
    address = address or "127.0.0.1"
    server = grpc.server(futures.ThreadPoolExecutor(max_workers=1))
    protos.get_service_grpc().add_OracleServicer_to_server(OracleServicer(oracle), server)
    try:
        bound = server.add_insecure_port(f"{address}:{port or 0}")
    except RuntimeError as error:
        raise ConfigError(
            f"cannot listen at {address}:{port or 0} for the workers of the search; {' and '.join(CHIEF_VARIABLES)} "
            "must be an address of this machine and a port that is free"
        ) from error
    server.start()
    try:
        yield address, str(bound)
    finally:
        server.stop(grace=None)


class Workers:
    """The workers of this machine: started together, ended together, and started again when one dies."""

    def __init__(self, folder: Path, chief: tuple[str, str], shares: list[Share]):
        self.folder, self.chief, self.shares = folder, chief, shares
        self.deaths = [0] * len(shares)
        self.ended_trials = 0
        self.processes: list[subprocess.Popen] = []

    def __enter__(self) -> "Workers":
        self.processes = [self._start(index) for index in range(len(self.shares))]
        return self

    def __exit__(self, *_: object) -> None:
        for process in self.processes:
            process.terminate()
        for process in self.processes:
            try:
                process.wait(_GRACE)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            process.stdin.close()

    def are_done(self) -> bool:
        """Says whether all have ended as they should."""
        return all(process.poll() == 0 for process in self.processes)

    def replace_dead(self, ended_trials: int) -> None:
        """Starts each that died again: the chief gives it the trial that it had.

        Raises:
            UserError: when one died several times while no trial ended.
            DiskFullError: when one had no room to write.
        """
        if ended_trials > self.ended_trials:
            self.ended_trials, self.deaths = ended_trials, [0] * len(self.shares)
        for index, process in enumerate(self.processes):
            if process.poll() == NO_ROOM:
                raise disk.full_error(self.folder, "a trial of the search")
            if process.poll():
                self.deaths[index] += 1
                if self.deaths[index] == _ATTEMPTS:
                    raise UserError(
                        f"worker {index} of the search died {_ATTEMPTS} times in a row, with exit status "
                        f"{process.returncode}; the log has its last words"
                    )
                self.processes[index] = self._start(index)

    def _start(self, index: int) -> subprocess.Popen:
        share = self.shares[index]
        chief = dict(zip(CHIEF_VARIABLES, self.chief, strict=True))
        # Where this process found its modules, the worker finds them, whatever folder either was started in.
        path = {"PYTHONPATH": os.pathsep.join(filter(None, map(os.path.abspath, sys.path)))}
        return subprocess.Popen(
            [sys.executable, "-m", "tuner.worker", str(self.folder), "--end-with-stdin", *share.arguments()],
            stdin=subprocess.PIPE,
            env={**os.environ, **path, **chief, **share.environment(), ID_VARIABLE: f"worker{index}"},
        )
