"""Runs the probe on the exported model and blesses the model, or not, as TFX's InfraValidator does."""

import base64
import json
import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import tensorflow as tf
from tfx.dsl.components.base import base_executor
from tfx.dsl.io import fileio
from tfx.types import Artifact, artifact_utils
from tfx.utils import path_utils

from shiftvit import export, features
from shiftvit.errors import DataError, UserError

REPORT = "canary.json"  # beside the blessing: `passed`, `reason` and, where it was measured, `latency_ms`

# The marks by which TFX's Pusher and its users know the verdict.
BLESSED_FILE, NOT_BLESSED_FILE = "INFRA_BLESSED", "INFRA_NOT_BLESSED"
BLESSED_PROPERTY = "blessed"

_FROM_OUTSIDE = (signal.SIGKILL, signal.SIGTERM)  # what a model cannot do to its own process
_PROBE = Path(__file__).with_name("probe.py")


class Executor(base_executor.BaseExecutor):
    """Executor of the Canary."""

    def Do(
        self,
        input_dict: dict[str, list[Artifact]],
        output_dict: dict[str, list[Artifact]],
        exec_properties: dict[str, Any],
    ) -> None:
        """Blesses the model, or leaves it unblessed with the reason in the report; a failing model is no exception.

        Raises:
            DataError: when split test holds no records.
            UserError: when the process that asks the model was killed, which is no verdict.
        """
        model = artifact_utils.get_single_instance(input_dict["model"])
        blessing = artifact_utils.get_single_instance(output_dict["blessing"])
        records = _first_records(
            artifact_utils.get_split_uri(input_dict["examples"], features.TEST), int(exec_properties["images"])
        )
        task = _make_task(path_utils.serving_model_path(model.uri), records, float(exec_properties["max_latency_ms"]))
        verdict = _run_probe(task, float(exec_properties["timeout"]))
        _write(blessing.uri, REPORT, json.dumps(verdict, indent=2) + "\n")
        _write(blessing.uri, BLESSED_FILE if verdict["passed"] else NOT_BLESSED_FILE, "")
        blessing.set_int_custom_property(BLESSED_PROPERTY, int(verdict["passed"]))


def explain(blessing_uri: str) -> str:
    """Returns, in words, why the model was blessed or not."""
    return _read_report(blessing_uri)["reason"]


def read_latency(blessing_uri: str) -> dict[str, float]:
    """Returns the median milliseconds of a request by its number of images; nothing where it was not measured."""
    return _read_report(blessing_uri).get("latency_ms", {})


def _read_report(blessing_uri: str) -> dict[str, Any]:
    with fileio.open(os.path.join(blessing_uri, REPORT)) as report:
        return json.load(report)


def _write(folder: str, name: str, text: str) -> None:
    fileio.makedirs(folder)
    with fileio.open(os.path.join(folder, name), "w") as file:
        file.write(text)


def _first_records(folder: str, count: int) -> list[bytes]:
    files = sorted(tf.io.gfile.glob(os.path.join(folder, "*")))
    records = list(tf.data.TFRecordDataset(files).take(count).as_numpy_iterator())
    if not records:
        raise DataError(f"{folder}: holds no records to try the model with")
    return records


def _make_task(model: str, records: list[bytes], max_latency_ms: float) -> dict[str, Any]:
    images, _ = features.parse(tf.constant(records))
    return {
        "model": model,
        "max_latency_ms": max_latency_ms,
        "signatures": {
            "images": [export.SERVING_DEFAULT, export.IMAGE_BYTES_INPUT],
            "examples": [export.SERVING_EXAMPLES, export.EXAMPLES_INPUT],
        },
        "outputs": {
            "class_name": export.CLASS_NAME,
            "class_id": export.CLASS_ID,
            "probabilities": export.PROBABILITIES,
        },
        "images": [_base64(tf.io.encode_png(image).numpy()) for image in images],
        "examples": [_base64(record) for record in records],
    }


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _run_probe(task: dict[str, Any], timeout: float) -> dict[str, Any]:
    # On the CPU: the Trainer's process may hold all the memory of the GPUs, and a model must serve without one.
    environment = {**os.environ, "CUDA_VISIBLE_DEVICES": "-1", "TF_CPP_MIN_LOG_LEVEL": "3"}
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder, REPORT)
        try:
            ended = subprocess.run(
                [sys.executable, "-I", str(_PROBE), str(report)],
                env=environment,
                timeout=timeout,
                input=json.dumps(task),
                encoding="utf-8",
                errors="replace",
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
            )
        except subprocess.TimeoutExpired:
            return _refusal(f"did not end within {timeout:g} seconds")
        if ended.returncode == 0 and report.exists():
            return json.loads(report.read_text())
    return _refusal(_describe_end(ended))


def _refusal(what_it_did: str) -> dict[str, Any]:
    return {"passed": False, "reason": f"the process that asks the model {what_it_did}"}


def _describe_end(ended: subprocess.CompletedProcess) -> str:
    if ended.returncode < 0:
        name = signal.Signals(-ended.returncode).name
        if -ended.returncode in _FROM_OUTSIDE:
            raise UserError(
                f"the process that asks the model was killed by {name}, which is what happens when memory runs out: "
                "that says nothing of the model; the same command tries it again"
            )
        return f"was ended by {name}"
    last_words = (ended.stderr.strip().splitlines() or ["nothing"])[-1]
    return f"ended with code {ended.returncode}, saying: {last_words}"
