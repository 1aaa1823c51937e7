"""Runs Beam pipelines on the workers of a Dask cluster.

Beam's own DaskRunner computes only the last branch of a pipeline, mixes up tagged outputs, drops what a DoFn emits in
`finish_bundle`, and cannot read files; StatisticsGen and the Evaluator need all of these. So Beam's FnApiRunner, which
also runs pipelines locally, schedules the work, and Dask only runs the SDK harnesses, one as a task on each worker.
"""

import contextlib
import tempfile
import threading
from argparse import ArgumentParser
from collections.abc import Iterable, Iterator
from typing import Any

import dask.config
import distributed
from apache_beam import Pipeline
from apache_beam.options.pipeline_options import DirectOptions, PipelineOptions
from apache_beam.runners.portability.fn_api_runner import FnApiRunner, worker_handlers
from apache_beam.runners.runner import PipelineResult
from apache_beam.runners.worker.sdk_worker import SdkHarness
from apache_beam.transforms.environments import Environment, python_sdk_capabilities
from distributed.comm import get_address_host
from distributed.utils import get_ip

from shiftvit.errors import UserError

_URN = "shiftvit:environment:dask"
_CONNECT_SECONDS = 30
_STOP_SECONDS = 10


class DaskOptions(PipelineOptions):
    """The flags of `DaskRunner`."""

    @classmethod
    def _add_argparse_args(cls, parser: ArgumentParser) -> None:
        parser.add_argument("--dask_address", default="", help="of the scheduler; empty: start workers on this host")
        parser.add_argument("--dask_workers", type=int, default=0, help="workers to start here; 0: one per core")


class DaskRunner(FnApiRunner):
    """An FnApiRunner whose workers are those of a Dask cluster."""

    def run_pipeline(self, pipeline: Pipeline, options: PipelineOptions) -> PipelineResult:
        """Runs the pipeline to its end.

        Raises:
            UserError: when no cluster answers at the address, or a worker is lost.
        """
        dask_options = options.view_as(DaskOptions)
        with _connect(dask_options.dask_address, dask_options.dask_workers) as client:
            options.view_as(DirectOptions).direct_num_workers = len(client.nthreads())
            self._default_environment = _DaskEnvironment(client.scheduler.address, python_sdk_capabilities())
            return super().run_pipeline(pipeline, options)


@contextlib.contextmanager
def _connect(address: str, workers: int) -> Iterator[distributed.Client]:
    """Yields a client of the cluster at `address`, or of a temporary one on this host if the address is empty."""
    with contextlib.ExitStack() as stack:
        if not address:
            folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="shiftvit-dask-"))
            stack.enter_context(dask.config.set({"temporary-directory": folder}))  # of the scheduler and the workers
            cluster = distributed.LocalCluster(n_workers=workers or None, threads_per_worker=1, dashboard_address=":0")
            address = stack.enter_context(cluster).scheduler_address
        try:
            client = stack.enter_context(distributed.Client(address, timeout=_CONNECT_SECONDS))
        except OSError as error:
            raise UserError(
                f"beam.address={address}: no Dask scheduler answers; start one with `dask scheduler`, or leave the "
                "address out to start workers on this host"
            ) from error
        try:
            client.wait_for_workers(1, timeout=_CONNECT_SECONDS)
        except distributed.TimeoutError as error:
            raise UserError(
                f"beam.address={address}: the Dask scheduler has no workers; start one with `dask worker {address}`"
            ) from error
        yield client


@Environment.register_urn(_URN, None)
class _DaskEnvironment(Environment):
    """Marks the steps of a portable pipeline to run in the harnesses of `_DaskWorkerHandler`."""

    def __init__(self, scheduler: str, *arguments: Any):
        super().__init__(*arguments)
        self.scheduler = scheduler

    def to_runner_api_parameter(self, context: Any) -> tuple[str, bytes]:
        return _URN, self.scheduler.encode()

    @staticmethod
    def from_runner_api_parameter(
        payload: bytes, capabilities: Iterable[str], artifacts: Iterable[Any], hints: dict[str, bytes], context: Any
    ) -> "_DaskEnvironment":
        return _DaskEnvironment(payload.decode(), capabilities, artifacts, hints)


@worker_handlers.WorkerHandler.register_environment(_URN, bytes)
class _DaskWorkerHandler(worker_handlers.GrpcWorkerHandler):
    """Starts one harness as a Dask task, and fails the pipeline if the harness ends too early."""

    def __init__(self, scheduler: bytes, state: Any, provision_info: Any, grpc_server: Any):
        self._client = distributed.get_client(scheduler.decode())
        super().__init__(state, provision_info, grpc_server)
        self._stopped = threading.Event()
        self._lost = False

    def host_from_worker(self) -> str:
        return get_ip(get_address_host(self._client.scheduler.address))

    def start_worker(self) -> None:
        workers = sorted(self._client.nthreads())
        # Beam numbers its harnesses consecutively, so each gets a worker of its own.
        self._address = workers[int(self.worker_id.rpartition("_")[2]) % len(workers)]
        self._task = self._client.submit(
            run_harness, self.control_address, self.worker_id, workers=self._address, pure=False
        )
        threading.Thread(target=self._watch, daemon=True).start()

    def stop_worker(self) -> None:
        self._stopped.set()
        if not self._lost:
            with contextlib.suppress(distributed.TimeoutError):
                distributed.wait(self._task, timeout=_STOP_SECONDS)
        self._task.cancel()

    def _watch(self) -> None:
        """Aborts the pipeline if the harness is gone; Beam itself would wait for it forever."""
        while not self._stopped.wait(1.0):
            if self._task.status == "error":
                error = self._task.exception()
                cause = " ".join(f"{error.__cause__ or error}".split())
                reason = f"cannot work ({cause}); this project must be installed on Dask's scheduler and workers"
            elif self._task.done() or self._address not in self._client.nthreads():
                reason = "was lost; see its log: it ran out of memory, or this project is not installed there"
            else:
                continue
            self._lost = True
            self.control_conn.abort(UserError(f"the Dask worker {self._address} {reason}"))


def run_harness(control_address: str, worker_id: str) -> None:
    """Runs one SDK harness until the pipeline's runner, which listens at `control_address`, has no more work for it."""
    capabilities = worker_handlers.FNAPI_RUNNER_CAPABILITIES
    SdkHarness(control_address, worker_id=worker_id, runner_capabilities=capabilities).run()
