"""LiteExport on a small network with random weights, and on files that disagree with it."""

import json

import numpy as np
import pytest
import tensorflow as tf
from known_data import CIFAR10, CLASS_NAMES, describe
from tfx.types import artifact_utils, standard_artifacts

from components.lite import component
from components.lite.component import Reference, choose_float32_products, judge
from components.lite.convert import Int8, LiteModel, to_float
from components.lite.interpreter import Interpreter
from components.lite.report import FLOAT32, INT8, REPORT_FILE, LiteFile, read_report
from pipeline.sources import shapes
from shiftvit import features
from shiftvit.config import ModelConfig
from shiftvit.errors import DataError
from shiftvit.export import CLASS_ID, export
from shiftvit.model import build_model

pytestmark = pytest.mark.slow
CONFIG = ModelConfig(image_size=32, num_classes=10, patch_size=4, dims=(16, 32), depths=(1, 1), n_div=4, flip_test=True)


@pytest.fixture(scope="module")
def examples(tmp_path_factory):
    """Examples with 20 images in split train, and 40 each in eval and test."""
    folder = tmp_path_factory.mktemp("examples")
    for split, count in ((features.TRAIN, 20), (features.EVAL, 40), (features.TEST, 40)):
        (folder / f"Split-{split}").mkdir()
        with tf.io.TFRecordWriter(str(folder / f"Split-{split}" / "data_tfrecord-00000-of-00001")) as writer:
            for image, label in zip(*shapes.draw(count, 0, split), strict=True):
                writer.write(features.encode(image, int(label)))
    describe(folder)
    made = standard_artifacts.Examples()
    made.uri, made.split_names = str(folder), artifact_utils.encode_split_names(list(features.SPLITS))
    return made


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """A Model artifact whose network has random weights, scaled up so that its predictions are confident."""
    folder = tmp_path_factory.mktemp("model")
    tf.keras.utils.set_random_seed(0)
    network = build_model(CONFIG, CIFAR10)
    network.set_weights([5 * weight if weight.ndim > 1 else weight for weight in network.get_weights()])
    export(network, CONFIG, CIFAR10, str(folder / "Format-Serving"))
    made = standard_artifacts.Model()
    made.uri = str(folder)
    return made


def run(folder, model, examples, **settings):
    """Runs LiteExport; returns the folder of its output."""
    made = standard_artifacts.Model()
    made.uri = str(folder / "lite")
    bounds = {"calibration_images": 20, "test_images": 40, "min_float_agreement": 1.0, "min_int8_agreement": 0.8}
    component.LiteExport.test_call(model=model, examples=examples, lite_model=made, **bounds | settings)
    return folder / "lite"


@pytest.fixture(scope="module")
def lite(model, examples, tmp_path_factory):
    """The folder with both files."""
    return run(tmp_path_factory.mktemp("lite"), model, examples)


def test_files_agree_with_the_model_and_int8_is_smaller(lite, model):
    images, _ = shapes.draw(100, 1, features.TEST)
    exported = tf.saved_model.load(f"{model.uri}/Format-Serving")
    expected = exported.answer(tf.constant(images))[CLASS_ID].numpy()
    assert len(set(expected.tolist())) > 3, "with few classes, any file would agree"

    float32, int8 = (LiteModel((lite / f"{name}.tflite").read_bytes()).classes(images)[0] for name in (FLOAT32, INT8))

    assert (float32 == expected).all() and (int8 == expected).mean() > 0.8
    assert (lite / f"{INT8}.tflite").stat().st_size < (lite / f"{FLOAT32}.tflite").stat().st_size


def test_int8_file_has_int8_tensors(lite):
    interpreter = Interpreter(model_content=(lite / f"{INT8}.tflite").read_bytes())

    assert np.int8 in {details["dtype"] for details in interpreter.get_tensor_details()}
    assert interpreter.get_input_details()[0]["dtype"] == np.uint8


def test_report_has_the_measurements_of_both_files(lite):
    report = read_report(str(lite))

    assert report.images == 40
    assert [(file.name, file.rejected) for file in report.files] == [(FLOAT32, None), (INT8, None)]
    for file in report.files:
        assert file.bytes == (lite / f"{file.name}.tflite").stat().st_size and file.latency_ms > 0
    assert report.files[0].agreement == 1.0
    assert (lite / component.LABELS).read_text().split() == list(CLASS_NAMES)


def test_file_that_disagrees_is_rejected_and_the_other_is_kept(model, examples, tmp_path, monkeypatch):
    """With an int8 file that ranks the classes in reverse."""
    tf.saved_model.save(_Wrong(tf.saved_model.load(f"{model.uri}/Format-Serving")), str(tmp_path / "wrong"))
    wrong = to_float(tf.saved_model.load(str(tmp_path / "wrong")))
    monkeypatch.setattr(Int8, "convert", lambda self, float32_products: wrong)

    folder = run(tmp_path, model, examples)

    assert sorted(path.name for path in folder.iterdir()) == [f"{FLOAT32}.tflite", component.LABELS, REPORT_FILE]
    reason = json.loads((folder / REPORT_FILE).read_text())["files"][1]["rejected"]
    assert reason.startswith("agrees with the model on ") and "below lite.min_int8_agreement=0.8" in reason


def test_test_split_is_read_only_after_the_choice_on_the_eval_split(model, examples, tmp_path, monkeypatch):
    steps, read, convert = [], component._read, Int8.convert
    monkeypatch.setattr(
        component, "_read", lambda inputs, split, count: steps.append(split) or read(inputs, split, count)
    )
    monkeypatch.setattr(Int8, "convert", lambda self, products: steps.append(products) or convert(self, products))

    run(tmp_path, model, examples, min_int8_agreement=1.1)  # never reached, so that all choices are tried

    *choice, final, last = steps
    assert choice == [features.TRAIN, features.EVAL, 0, 1, 2, 4, 8] and (final, last) == (8, features.TEST)


def test_fewest_float32_products_that_agree_are_chosen():
    class Quantizer:
        def convert(self, products):
            return products

    class Compared(Reference):
        def __init__(self):
            pass

        def compare(self, name, content, products=0):
            return LiteFile(name, 1, 0.9 + 0.02 * products, 1.0, products)

    assert choose_float32_products(Quantizer(), Compared(), 0.93) == 2
    assert choose_float32_products(Quantizer(), Compared(), 2.0) == 8


class _Wrong(tf.Module):
    """Returns the probabilities of the classes in reverse."""

    def __init__(self, model):
        super().__init__()
        self.model = model

    @tf.function(input_signature=[tf.TensorSpec([None, 32, 32, 3], tf.uint8)])
    def answer(self, images):
        return {name: value[:, ::-1] for name, value in self.model.answer(images).items() if value.shape.rank == 2}


@pytest.mark.parametrize(
    ("agreements", "sizes", "reasons"),
    [
        ((1.0, 0.99), (200, 100), (None, None)),
        ((0.99, 1.0), (200, 100), ("agrees with the model on 99.00% of the images, below lite.min_float", None)),
        ((1.0, 0.9), (200, 100), (None, "agrees with the model on 90.00% of the images, below lite.min_int8")),
        ((1.0, 1.0), (100, 100), (None, "has 100 bytes, no fewer than float32")),
    ],
)
def test_agreement_and_size_decide_which_files_are_kept(agreements, sizes, reasons):
    files = [
        LiteFile(name, size, agreement, 1.0)
        for name, size, agreement in zip((FLOAT32, INT8), sizes, agreements, strict=True)
    ]

    for file, expected in zip(judge(files, 0.999, 0.95), reasons, strict=True):
        assert file.rejected == expected or file.rejected.startswith(expected)


def test_split_without_records_is_bad_data(model, tmp_path):
    empty = standard_artifacts.Examples()
    empty.uri, empty.split_names = str(tmp_path), artifact_utils.encode_split_names(list(features.SPLITS))

    with pytest.raises(DataError, match="Split-train: holds no records"):
        run(tmp_path, model, empty)
