"""Jobs on Beam's own job server, in a process of its own; their workers are threads of the process that submits."""

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import apache_beam as beam
import grpc
import pytest
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.portability.api import beam_job_api_pb2, beam_job_api_pb2_grpc
from ports import free_ports
from waiting import HANG_SECONDS, wait_until

from pipeline.runners.portable import copy_project
from shiftvit.errors import DataError, UserError

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    """The address of a job server."""
    [port] = free_ports(1)
    log = tmp_path_factory.mktemp("server") / "log"
    module = "apache_beam.runners.portability.local_job_service_main"
    with log.open("wb") as output:
        server = subprocess.Popen(
            [sys.executable, "-m", module, "--job_port", str(port)], stdout=output, stderr=subprocess.STDOUT
        )
    try:
        with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
            grpc.channel_ready_future(channel).result(HANG_SECONDS)
        yield f"127.0.0.1:{port}"
    finally:
        server.kill()
        server.wait()


def options(address, *further):
    return PipelineOptions(
        [
            "--runner=pipeline.runners.portable.PortableRunner",
            f"--job_endpoint={address}",
            "--environment_type=LOOPBACK",
            *further,
        ]
    )


def work(item):
    """What a worker does with an item: waits, fails or appends it to a file."""
    seconds, error, file = item
    time.sleep(seconds)
    if error is not None:
        raise error
    with open(file, "a") as output:
        output.write("done")


def run(address, *items, flags=()):
    with beam.Pipeline(options=options(address, *flags)) as pipeline:
        pipeline | beam.Create(items) | beam.Map(work)


def test_a_job_outlives_the_time_limit_of_a_request(address, tmp_path):
    run(address, (3, None, str(tmp_path / "file")), flags=["--job_server_timeout=1"])

    assert (tmp_path / "file").read_text() == "done"


@pytest.mark.parametrize(
    ("error", "kind", "sentence"),
    [
        (ValueError("seven is wrong"), UserError, "the engine's job failed (ValueError: seven is wrong)"),
        (DataError("photos/a.png: a damaged PNG image"), DataError, "photos/a.png: a damaged PNG image"),
    ],
)
def test_a_failed_job_names_its_reason(address, error, kind, sentence):
    with pytest.raises(UserError) as caught:
        run(address, (0, error, ""))

    assert type(caught.value) is kind and sentence in str(caught.value) and "\n" not in str(caught.value)


def test_a_server_that_is_gone_is_named():
    [port] = free_ports(1)
    with pytest.raises(UserError, match=rf"beam.address=127.0.0.1:{port}: (no job server answers|the engine's job)"):
        run(f"127.0.0.1:{port}", (0, None, ""), flags=["--job_server_timeout=1"])


def test_an_interrupted_run_cancels_its_job(address, tmp_path):
    program = f"import test_portable as t; t.run({address!r}, (0, None, {str(tmp_path / 'begun')!r}), (600, None, ''))"
    path = os.pathsep.join([str(ROOT), str(Path(__file__).parent), str(ROOT / "tests" / "helpers")])
    submitting = subprocess.Popen(
        [sys.executable, "-c", program], env={**os.environ, "PYTHONPATH": path}, stderr=subprocess.PIPE
    )
    wait_until((tmp_path / "begun").exists, submitting)
    submitting.send_signal(signal.SIGTERM)
    submitting.communicate(timeout=HANG_SECONDS)

    with grpc.insecure_channel(address) as channel:
        jobs = beam_job_api_pb2_grpc.JobServiceStub(channel).GetJobs(beam_job_api_pb2.GetJobsRequest()).job_info
    states = [beam_job_api_pb2.JobState.Enum.Name(job.state) for job in jobs]
    assert "CANCELLED" in states and "RUNNING" not in states


def test_workers_get_a_package_that_is_built_outside_the_checkout(tmp_path):
    copy = copy_project(ROOT / "setup.py", tmp_path)
    program = [sys.executable, copy, "--quiet", "sdist", "--dist-dir", str(tmp_path / "dist")]
    subprocess.run(program, cwd=tmp_path, check=True, capture_output=True)

    [package] = (tmp_path / "dist").iterdir()
    shutil.unpack_archive(package, tmp_path / "unpacked")
    [folder] = (tmp_path / "unpacked").iterdir()
    assert (folder / "pipeline" / "serving" / "page.html").is_file()
    assert (folder / "shiftvit" / "model.py").read_bytes() == (ROOT / "shiftvit" / "model.py").read_bytes()
