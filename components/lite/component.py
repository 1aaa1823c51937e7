"""LiteExport converts the exported model to TFLite files and keeps those that agree with it.

Training images calibrate the ranges of int8. The eval split decides how many matrix products stay in float32. The test
split is read last, for the figures and the verdict.
"""

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, replace
from typing import Any

import numpy as np
import tensorflow as tf
from tfx.dsl.component.experimental.annotations import InputArtifact, OutputArtifact, Parameter
from tfx.dsl.component.experimental.decorators import component
from tfx.dsl.io import fileio
from tfx.types import artifact_utils
from tfx.types.standard_artifacts import Examples, Model
from tfx.utils import path_utils

from components.lite import convert
from components.lite.report import FLOAT32, INT8, REPORT_FILE, LiteFile, LiteReport
from shiftvit import export, features, progress
from shiftvit.dataset import read_dataset
from shiftvit.export import CLASS_ID
from shiftvit.files import disk
from shiftvit.input_pipeline import first_records

LABELS = "labels.txt"  # the class names by class id, one a line, as TFLite's tools read them

_FLOAT32_PRODUCTS = (0, 1, 2, 4, 8)  # tried in turn until the int8 file agrees
_BATCH = 250  # images per call of the SavedModel, or fewer if they are large


class Reference:
    """Images of one split with the classes that the exported model gives them."""

    def __init__(self, model: Any, images: np.ndarray) -> None:
        """Classifies images, uint8 (N, size, size, 3), with the model, a loaded SavedModel."""
        at_once = features.images_at_once(images.shape[1], _BATCH)
        batches = np.split(images, range(at_once, len(images), at_once))
        self.images = images
        self._expected = np.concatenate([model.answer(tf.constant(batch))[CLASS_ID].numpy() for batch in batches])

    def compare(self, name: str, content: bytes, float32_products: int = 0) -> LiteFile:
        """Returns how the file compares with the model on these images."""
        class_ids, milliseconds = convert.LiteModel(content).classes(self.images)
        agreement = float((class_ids == self._expected).mean())
        return LiteFile(name, len(content), agreement, round(milliseconds, 2), float32_products)


@component
def LiteExport(
    model: InputArtifact[Model],
    examples: InputArtifact[Examples],
    lite_model: OutputArtifact[Model],
    calibration_images: Parameter[int],
    test_images: Parameter[int],
    min_float_agreement: Parameter[float],
    min_int8_agreement: Parameter[float],
) -> None:
    """Converts the exported model to TFLite, in float32 and in int8, and keeps the files that agree with it.

    A file that disagrees is no failure.

    Args:
        model: the exported model.
        examples: split train calibrates int8, split eval chooses what stays in float32, split test judges.
        lite_model: the files, LABELS and a LiteReport.
        calibration_images: number of images of split train.
        test_images: number of images of split test, and of split eval.
        min_float_agreement: share of the test images that must get the model's class from the float32 file.
        min_int8_agreement: the same for the int8 file.

    Raises:
        DataError: if a split holds no records.
        DiskFullError: if there is no room for the files.
    """
    loaded = export.load(path_utils.serving_model_path(model.uri))
    quantizer = convert.Int8(loaded, _read(examples, features.TRAIN, calibration_images))
    reference = Reference(loaded, _read(examples, features.EVAL, test_images))
    products = choose_float32_products(quantizer, reference, min_int8_agreement)
    contents = {FLOAT32: convert.to_float(loaded), INT8: quantizer.convert(products)}
    test = Reference(loaded, _read(examples, features.TEST, test_images))
    files = [test.compare(FLOAT32, contents[FLOAT32]), test.compare(INT8, contents[INT8], products)]
    report = LiteReport(len(test.images), tuple(judge(files, min_float_agreement, min_int8_agreement)))
    _write(lite_model.uri, report, contents, [name.decode() for name in loaded.list_classes().numpy()])


def _read(examples: Examples, split: str, count: int) -> np.ndarray:
    """Returns the first images of a split, uint8 (N, size, size, 3)."""
    records = first_records(artifact_utils.get_split_uri([examples], split), count)
    return features.parse(tf.constant(records), read_dataset(examples.uri).image_size)[0].numpy()


def choose_float32_products(quantizer: convert.Int8, reference: Reference, min_agreement: float) -> int:
    """Returns the fewest float32 products with which the int8 file agrees with the model, or the most tried."""
    for tries, products in enumerate(_FLOAT32_PRODUCTS):
        progress.report("lite", 1 + tries, len(_FLOAT32_PRODUCTS), "file")
        if reference.compare(INT8, quantizer.convert(products), products).agreement >= min_agreement:
            break
    return products


def judge(files: list[LiteFile], min_float_agreement: float, min_int8_agreement: float) -> list[LiteFile]:
    """Returns the float32 and the int8 file, rejected if they disagree with the model, or if int8 saves no bytes."""
    float32, int8 = files
    reasons = {
        file.name: f"agrees with the model on {file.agreement:.2%} of the images, below "
        f"lite.min_{setting}_agreement={minimum:g}"
        for file, setting, minimum in ((float32, "float", min_float_agreement), (int8, "int8", min_int8_agreement))
        if file.agreement < minimum
    }
    if int8.bytes >= float32.bytes:
        reasons.setdefault(INT8, f"has {int8.bytes:,} bytes, no fewer than {FLOAT32}")
    return [replace(file, rejected=reasons.get(file.name)) for file in files]


def _write(output: str, report: LiteReport, contents: Mapping[str, bytes], class_names: list[str]) -> None:
    files = {f"{file.name}.tflite": contents[file.name] for file in report.files if file.rejected is None}
    files[LABELS] = "".join(f"{name}\n" for name in class_names).encode()
    files[REPORT_FILE] = (json.dumps(asdict(report), indent=2) + "\n").encode()
    with disk.ensure_space(output, sum(map(len, files.values())), "the TFLite files"):
        fileio.makedirs(output)
        for name, content in files.items():
            with fileio.open(os.path.join(output, name), "wb") as file:
                file.write(content)
