"""Runs Beam pipelines on the workers of a Dask cluster.

Beam's own DaskRunner computes only the branch of a pipeline that comes last, mixes tagged outputs, drops what a DoFn
gives when its bundle ends and reads no files; StatisticsGen and the Evaluator need all of that. So the graph is kept
by the runner that also runs it locally, FnApiRunner, and Dask is given what it does elsewhere in processes of its own:
Beam's SDK harnesses, one as a task on each worker.
"""

import contextlib
import threading
from collections.abc import Iterator

import distributed
from apache_beam.options.pipeline_options import DirectOptions, PipelineOptions
from apache_beam.runners.portability.fn_api_runner import FnApiRunner, worker_handlers
from apache_beam.runners.worker.sdk_worker import SdkHarness
from apache_beam.transforms.environments import Environment, python_sdk_capabilities
from distributed.comm import get_address_host
from distributed.utils import get_ip

from shiftvit.errors import UserError, one_line

_URN = "shiftvit:environment:dask"
_CONNECT_SECONDS = 30
_STOP_SECONDS = 10


class DaskOptions(PipelineOptions):
    """The flags that `DaskRunner` reads."""

    @classmethod
    def _add_argparse_args(cls, parser):
        parser.add_argument("--dask_address", default="", help="of a scheduler; without one, workers are started here")
        parser.add_argument("--dask_workers", type=int, default=0, help="how many to start here; 0: one for each core")


class DaskRunner(FnApiRunner):
    """FnApiRunner whose workers are those of a Dask cluster."""

    def run_pipeline(self, pipeline, options):
        """Runs the pipeline to its end.

        Raises:
            UserError: when there is no cluster at the address, or a worker is lost on the way.
        """
        chosen = options.view_as(DaskOptions)
        with _connect(chosen.dask_address, chosen.dask_workers) as client:
            options.view_as(DirectOptions).direct_num_workers = len(client.nthreads())
            self._default_environment = _DaskEnvironment(client.scheduler.address)
            return super().run_pipeline(pipeline, options)


@contextlib.contextmanager
def _connect(address: str, workers: int) -> Iterator[distributed.Client]:
    """Gives a client of the cluster at `address`, or else of one that lives as long as the client."""
    with contextlib.ExitStack() as stack:
        if not address:
            own = distributed.LocalCluster(n_workers=workers or None, threads_per_worker=1, dashboard_address=":0")
            address = stack.enter_context(own).scheduler_address
        try:
            client = stack.enter_context(distributed.Client(address, timeout=_CONNECT_SECONDS))
        except OSError as error:
            raise UserError(
                f"beam.address={address}: no Dask scheduler answers there; `dask scheduler` starts one, and without "
                "an address workers are started on this host"
            ) from error
        try:
            client.wait_for_workers(1, timeout=_CONNECT_SECONDS)
        except distributed.TimeoutError as error:
            raise UserError(
                f"beam.address={address}: the Dask scheduler has no workers; `dask worker {address}` starts one"
            ) from error
        yield client


@Environment.register_urn(_URN, None)
class _DaskEnvironment(Environment):
    """Says in Beam's form of a pipeline that its steps run in harnesses of `_DaskWorkerHandler`."""

    def __init__(self, scheduler: str, capabilities=None, artifacts=(), resource_hints=None):
        super().__init__(python_sdk_capabilities() if capabilities is None else capabilities, artifacts, resource_hints)
        self.scheduler = scheduler

    def to_runner_api_parameter(self, context):
        return _URN, self.scheduler.encode()

    @staticmethod
    def from_runner_api_parameter(payload, capabilities, artifacts, resource_hints, context):
        return _DaskEnvironment(payload.decode(), capabilities, artifacts, resource_hints)


@worker_handlers.WorkerHandler.register_environment(_URN, bytes)
class _DaskWorkerHandler(worker_handlers.GrpcWorkerHandler):
    """Starts one harness as a Dask task, and watches that it lives as long as it is needed."""

    def __init__(self, scheduler, state, provision_info, grpc_server):
        self._client = distributed.get_client(scheduler.decode())
        super().__init__(state, provision_info, grpc_server)
        self._stopped = threading.Event()
        self._lost = False

    def host_from_worker(self):
        return get_ip(get_address_host(self._client.scheduler.address))

    def start_worker(self):
        workers = sorted(self._client.nthreads())
        # Beam numbers its harnesses one after the other, so each comes to a worker of its own.
        self._address = workers[int(self.worker_id.rpartition("_")[2]) % len(workers)]
        self._task = self._client.submit(
            run_harness, self.control_address, self.worker_id, workers=self._address, pure=False
        )
        threading.Thread(target=self._watch, daemon=True).start()

    def stop_worker(self):
        self._stopped.set()
        if not self._lost:
            with contextlib.suppress(distributed.TimeoutError):
                distributed.wait(self._task, timeout=_STOP_SECONDS)
        self._task.cancel()

    def _watch(self):
        """Has the pipeline fail when the harness is gone, which Beam would wait for without end."""
        while not self._stopped.wait(1.0):
            if self._task.status == "error":
                error = self._task.exception()
                cause = one_line(error.__cause__ or error)
                reason = f"cannot work ({cause}); Dask's scheduler and workers need this project installed"
            elif self._task.done() or self._address not in self._client.nthreads():
                reason = "was lost; its own log says why: no memory, or this project not installed there"
            else:
                continue
            self._lost = True
            self.control_conn.abort(UserError(f"the Dask worker {self._address} {reason}"))


def run_harness(control_address: str, worker_id: str) -> None:
    """Works for the pipeline whose runner listens at `control_address`, until that has no more work."""
    SdkHarness(
        control_address, worker_id=worker_id, runner_capabilities=worker_handlers.FNAPI_RUNNER_CAPABILITIES
    ).run()
