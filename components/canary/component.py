"""The Canary tests the exported model, and blesses it or not, as TFX's InfraValidator does."""

import base64
import json
import os
import signal
import subprocess
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Any

import tensorflow as tf
from tfx.dsl.component.experimental.annotations import InputArtifact, OutputArtifact, Parameter
from tfx.dsl.component.experimental.decorators import component
from tfx.dsl.io import fileio
from tfx.types import artifact_utils
from tfx.types.standard_artifacts import Examples, InfraBlessing, Model
from tfx.utils import path_utils

from components.canary.report import REPORT_FILE, CanaryReport
from shiftvit import export, features
from shiftvit.errors import UserError
from shiftvit.files import paths
from shiftvit.input_pipeline import first_records
from shiftvit.processes import describe_signal

# Marks of the verdict, as TFX's InfraValidator sets them and its Pusher reads them.
BLESSED_FILE, NOT_BLESSED_FILE = "INFRA_BLESSED", "INFRA_NOT_BLESSED"
BLESSED = "blessed"  # property of the artifact, 0 or 1

_EXTERNAL = (signal.SIGKILL, signal.SIGTERM)  # no fault of the model's raises these
_PROBE = Path(__file__).with_name("probe.py")


@component
def Canary(
    model: InputArtifact[Model],
    examples: InputArtifact[Examples],
    blessing: OutputArtifact[InfraBlessing],
    images: Parameter[int],
    timeout: Parameter[int],
    max_latency_ms: Parameter[float],
) -> None:
    """Loads the exported model in a fresh process, without this project's code, and tests every signature.

    Blesses the model, or writes the reason why not; a bad model raises no error. Replaces TFX's InfraValidator, which
    needs Docker or Kubernetes. The Pusher takes `blessing` as `infra_blessing`.

    Args:
        model: the exported model.
        examples: the first records of split test are sent.
        blessing: the verdict, as InfraValidator writes it, and a CanaryReport.
        images: number of images to send.
        timeout: time limit of the process in seconds, including its start.
        max_latency_ms: limit of the median latency of a request with one image, in milliseconds.

    Raises:
        DataError: if split test has no records.
        UserError: if the probe's process was killed, which says nothing about the model.
    """
    records = first_records(artifact_utils.get_split_uri([examples], features.TEST), images)
    report = run_probe(
        _make_task(paths.plain(path_utils.serving_model_path(model.uri)), records, max_latency_ms), timeout
    )
    fileio.makedirs(blessing.uri)
    verdict = BLESSED_FILE if report.passed else NOT_BLESSED_FILE
    for name, text in ((REPORT_FILE, json.dumps(asdict(report), indent=2) + "\n"), (verdict, "")):
        with fileio.open(os.path.join(blessing.uri, name), "w") as file:
            file.write(text)
    blessing.set_int_custom_property(BLESSED, int(report.passed))


def _make_task(model: str, records: list[bytes], max_latency_ms: float) -> dict[str, Any]:
    """Returns the probe's input; the probe's docstring describes it."""
    images, _ = features.parse(tf.constant(records), features.stored_size(records[0]))
    return {
        "model": model,
        "max_latency_ms": max_latency_ms,
        "signatures": {
            "images": [export.SERVING_DEFAULT, export.IMAGE_BYTES_INPUT],
            "examples": [export.SERVING_EXAMPLES, export.EXAMPLES_INPUT],
        },
        "outputs": [export.CLASS_NAME, export.CLASS_ID, export.PROBABILITIES],
        "images": [_base64(tf.io.encode_png(image).numpy()) for image in images],
        "examples": [_base64(record) for record in records],
    }


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def run_probe(task: dict[str, Any], timeout: float) -> CanaryReport:
    """Runs the probe in a fresh process, for at most `timeout` seconds, and returns its report."""
    # On the CPU: the Trainer's process may hold all GPU memory, and a model must serve without a GPU.
    environment = {**os.environ, "CUDA_VISIBLE_DEVICES": "-1", "TF_CPP_MIN_LOG_LEVEL": "3"}
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder, REPORT_FILE)
        try:
            process = subprocess.run(
                [sys.executable, "-I", str(_PROBE), str(report)],
                env=environment,
                timeout=timeout,
                input=json.dumps(task),
                encoding="utf-8",
                errors="backslashreplace",
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
            )
        except subprocess.TimeoutExpired:
            return _refusal(f"did not end within {timeout:g} seconds")
        if process.returncode == 0 and report.exists():
            return CanaryReport(**json.loads(report.read_text(encoding="utf-8")))
    return _refusal(_describe_end(process.returncode, process.stderr))


def _refusal(outcome: str) -> CanaryReport:
    return CanaryReport(False, f"the process that tests the model {outcome}")


def _describe_end(status: int, stderr: str) -> str:
    if -status in _EXTERNAL:
        raise UserError(
            f"the process that tests the model was killed by {describe_signal(status)}; this says nothing about the "
            "model: run the same command again"
        )
    if status < 0:
        return f"was ended by {describe_signal(status)}"
    last_line = (stderr.strip().splitlines() or ["no output"])[-1]
    return f"ended with code {status}: {last_line}"
