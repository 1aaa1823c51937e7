"""Converts the exported model to TFLite, and keeps each file that answers as the model does."""

import json
import os
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import tensorflow as tf
from tfx.dsl.components.base import base_executor
from tfx.dsl.io import fileio
from tfx.types import Artifact, artifact_utils
from tfx.utils import path_utils

from components.lite import convert
from shiftvit import features, progress
from shiftvit.errors import DataError
from shiftvit.export import CLASS_ID
from shiftvit.files import disk

REPORT = "lite.json"  # beside the files: what was measured of each, and why one was left out
LABELS = "labels.txt"  # the class names, a line each by class id, as TFLite's tools read them
FLOAT32, INT8 = "float32", "int8"

_SPARED = (0, 1, 2, 4, 8)  # tried in turn, until the file agrees
_BATCH = 250  # images that the SavedModel is asked at once


@dataclass(frozen=True)
class LiteFile:
    """A TFLite file and how it compares with the model that it was made from."""

    name: str
    content: bytes
    agreement: float  # share of the images that it gives the class the model gives
    latency_ms: float  # median of one image, on one core
    spared: int = 0  # matrix products of the widest range that are kept in float32, where all others are in int8
    left_out: str | None = None  # why it is not kept

    def describe(self) -> dict[str, Any]:
        """Returns all but the content, as plain data."""
        return {
            "name": self.name,
            "bytes": len(self.content),
            "agreement": self.agreement,
            "latency_ms": round(self.latency_ms, 2),
            "spared": self.spared,
            "left_out": self.left_out,
        }


class Executor(base_executor.BaseExecutor):
    """Executor of LiteExport."""

    def Do(
        self,
        input_dict: dict[str, list[Artifact]],
        output_dict: dict[str, list[Artifact]],
        exec_properties: dict[str, Any],
    ) -> None:
        """Writes the files that agree with the model, and the report of all; one that does not is no failure.

        Raises:
            DataError: when split train or test holds no records.
            DiskFullError: when there is no room for the files.
        """
        model = tf.saved_model.load(path_utils.serving_model_path(artifact_utils.get_single_uri(input_dict["model"])))
        calibrating = _read(input_dict, features.TRAIN, int(exec_properties["calibration_images"]))
        tested = _read(input_dict, features.TEST, int(exec_properties["test_images"]))
        min_float_agreement = float(exec_properties["min_float_agreement"])
        min_int8_agreement = float(exec_properties["min_int8_agreement"])
        files = _make(model, calibrating, tested, min_int8_agreement)
        judged = judge(files, min_float_agreement, min_int8_agreement)
        _write(artifact_utils.get_single_uri(output_dict["lite_model"]), judged, len(tested), model)


def _read(input_dict: dict[str, list[Artifact]], split: str, count: int) -> np.ndarray:
    folder = artifact_utils.get_split_uri(input_dict["examples"], split)
    files = sorted(tf.io.gfile.glob(os.path.join(folder, "*")))
    records = list(tf.data.TFRecordDataset(files).take(count).as_numpy_iterator())
    if not records:
        raise DataError(f"{folder}: holds no records to convert the model with")
    return features.parse(tf.constant(records))[0].numpy()


def _make(model: Any, calibrating: np.ndarray, tested: np.ndarray, min_int8_agreement: float) -> list[LiteFile]:
    answers = [model.answer(tf.constant(tested[at : at + _BATCH])) for at in range(0, len(tested), _BATCH)]
    expected = np.concatenate([answer[CLASS_ID].numpy() for answer in answers])

    def try_out(name: str, content: bytes, spared: int = 0) -> LiteFile:
        answered, milliseconds = convert.LiteModel(content).classes(tested)
        return LiteFile(name, content, float((answered == expected).mean()), milliseconds, spared)

    files, quantizer = [try_out(FLOAT32, convert.to_float(model))], convert.Int8(model, calibrating)
    for tries, spared in enumerate(_SPARED):
        progress.report("lite", 1 + tries, 1 + len(_SPARED), "file")
        files[1:] = [try_out(INT8, quantizer.convert(spared), spared)]
        if files[1].agreement >= min_int8_agreement:
            break
    return files


def judge(files: list[LiteFile], min_float_agreement: float, min_int8_agreement: float) -> list[LiteFile]:
    """Returns the two files, each with why it is left out, if it is: it disagrees, or int8 is no smaller than float."""
    of_float, of_int8 = files
    disagrees = {
        file.name: f"agrees with the model on {file.agreement:.2%} of the images, below lite.min_{setting}_agreement="
        f"{least:g}"
        for file, setting, least in ((of_float, "float", min_float_agreement), (of_int8, "int8", min_int8_agreement))
        if file.agreement < least
    }
    if len(of_int8.content) >= len(of_float.content):
        disagrees.setdefault(INT8, f"has {len(of_int8.content):,} bytes, no fewer than {FLOAT32}")
    return [replace(file, left_out=disagrees.get(file.name)) for file in files]


def _write(output: str, files: list[LiteFile], images: int, model: Any) -> None:
    kept = [file for file in files if file.left_out is None]
    report = {"images": images, "files": [file.describe() for file in files]}
    names = [name.decode() for name in model.list_classes().numpy()]
    contents = {f"{file.name}.tflite": file.content for file in kept}
    contents |= {LABELS: "\n".join([*names, ""]).encode(), REPORT: (json.dumps(report, indent=2) + "\n").encode()}
    with disk.ensure_space(output, sum(map(len, contents.values())), "the TFLite files"):
        fileio.makedirs(output)
        for name, content in contents.items():
            with fileio.open(os.path.join(output, name), "wb") as file:
                file.write(content)


def read_report(lite_uri: str) -> dict[str, Any]:
    """Returns `images`, how many the files were tested with, and `files`, as LiteFile.describe gives them."""
    with fileio.open(os.path.join(lite_uri, REPORT)) as report:
        return json.load(report)
