"""Runs Beam pipelines on engines that speak Beam's portable protocol: Flink, Spark and any other job server.

Beam's own runners give up a whole job after `--job_server_timeout` where the server keeps one id from preparation to
end, leave it running when they are interrupted, and build the workers' package where setup.py is, so that runs at the
same time write the same files there.
"""

import contextlib
import re
import shutil
import signal
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
from apache_beam import Pipeline
from apache_beam.options.pipeline_options import FlinkRunnerOptions, PipelineOptions, PortableOptions, SetupOptions
from apache_beam.runners.portability import flink_runner, portable_runner
from apache_beam.runners.runner import PipelineResult

from shiftvit import errors
from shiftvit.errors import UserError
from shiftvit.processes import last_exception_in

_JOB_SECONDS = 7 * 24 * 3600  # that a job may take
_BEAMS_NOTE = re.compile(r" \[while running .*$")
_OURS = re.compile(rf"(?:{errors.__name__}\.)?(\w+Error): (.*)")


class _Handle(portable_runner.JobServiceHandle):
    def run(self, preparation_id: str) -> Any:
        self.timeout = _JOB_SECONDS  # of the streams of states and messages, which last as long as the job
        return super().run(preparation_id)


class _Result(portable_runner.PipelineResult):
    """A job that is cancelled when its run is interrupted."""

    def __init__(self, job: portable_runner.PipelineResult, address: str):
        super().__init__(job._job_service, job._job_id, job._message_stream, job._state_stream, job._cleanup_callbacks)
        self._address = address

    def wait_until_finish(self, duration: int | None = None) -> str:
        """Waits for the end of the job.

        Raises:
            UserError: when the job failed, with the engine's reason; the class is that of our own error in a worker.
        """
        try:
            with _explaining(self._address):
                return super().wait_until_finish(duration)
        except KeyboardInterrupt:
            with contextlib.suppress(grpc.RpcError):
                self.cancel()
            raise


class PortableRunner(portable_runner.PortableRunner):
    """Runs a pipeline on the job server at --job_endpoint."""

    def create_job_service_handle(self, job_service: Any, options: PipelineOptions) -> _Handle:
        """Returns what submits the job, and waits for it."""
        return _Handle(job_service, options, options.view_as(FlinkRunnerOptions).flink_submit_uber_jar)

    def run_portable_pipeline(self, pipeline: Any, options: PipelineOptions) -> PipelineResult:
        """Starts the job.

        Raises:
            UserError: when the engine does not answer, or does not take the job.
        """
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, signal.default_int_handler)
        address = options.view_as(PortableOptions).job_endpoint or options.view_as(FlinkRunnerOptions).flink_master
        with _explaining(address):
            return _Result(super().run_portable_pipeline(pipeline, options), address)

    def run_pipeline(self, pipeline: Pipeline, options: PipelineOptions) -> PipelineResult:
        """Starts the job; the package with this project is built in a copy of its code."""
        setup = options.view_as(SetupOptions)
        with tempfile.TemporaryDirectory(prefix="shiftvit-code-") as folder:
            if setup.setup_file:
                setup.setup_file = copy_project(Path(setup.setup_file), Path(folder))
            return super().run_pipeline(pipeline, options)


class FlinkRunner(PortableRunner, flink_runner.FlinkRunner):
    """Runs a pipeline on the Flink master at --flink_master, through a job server that it starts."""


def copy_project(setup: Path, folder: Path) -> str:
    """Copies setup.py, and the modules and packages beside it, into a folder; returns the path of its setup.py."""
    for module in setup.parent.glob("*.py"):
        shutil.copy(module, folder)
    for package in setup.parent.glob("*/__init__.py"):
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(package.parent, folder / package.parent.name, ignore=ignored)
    return str(folder / setup.name)


@contextlib.contextmanager
def _explaining(address: str) -> Iterator[None]:
    """Raises a UserError in one sentence for what the engine at the address reports."""
    try:
        yield
    except grpc.FutureTimeoutError as error:
        raise UserError(f"beam.address={address}: no job server answers; start it, or correct the address") from error
    except grpc.RpcError as error:
        reason = f"{error.code().name}: {error.details()}"
        raise UserError(f"beam.address={address}: the engine's job server failed ({_one_line(reason)})") from error
    except RuntimeError as error:
        raise _failure(str(error), address) from error


def _failure(message: str, address: str) -> UserError:
    """Returns the error for a failed job, from the engine's message, which ends with a worker's traceback."""
    reason = _BEAMS_NOTE.sub("", last_exception_in(message) or _one_line(message))
    ours = _OURS.match(reason)
    kind = getattr(errors, ours[1], None) if ours else None
    if ours and isinstance(kind, type) and issubclass(kind, UserError):
        return kind(ours[2])
    return UserError(f"beam.address={address}: the engine's job failed ({reason})")


def _one_line(text: str) -> str:
    return " ".join(text.split())[:300]
