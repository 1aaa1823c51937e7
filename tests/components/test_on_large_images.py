"""The components on images above 64 pixels a side, which are stored as JPEGs."""

import executions
import large_images
import numpy as np
import pytest
import tensorflow as tf
from judging import evaluate, is_blessed, run_canary
from known_data import NUM_CLASSES
from tfx.types import standard_artifacts

from components.canary.report import read_report
from components.data_gate import quality
from components.evaluator.explain import explain
from components.evaluator.results import read_metrics
from components.lite.component import LiteExport
from components.lite.report import read_report as read_lite_report
from pipeline.runs import predictions
from shiftvit import export, features
from shiftvit.config import ExperimentConfig, ModelConfig
from shiftvit.errors import DataError
from shiftvit.model import build_model
from shiftvit.record_files import RecordFiles

DATA = large_images.dataset(size=99)
COUNT = 24  # images of a split
CONFIG = ExperimentConfig(ModelConfig(dims=(8, 16), depths=(1, 1), n_div=4)).for_data(DATA).model


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return large_images.write(tmp_path_factory.mktemp("large"), DATA, train=COUNT, eval=COUNT, test=COUNT)


@pytest.fixture(scope="module")
def examples(folder):
    return executions.examples(folder)


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """A Model artifact with random weights, scaled up so that its answers differ."""
    folder = tmp_path_factory.mktemp("model")
    tf.keras.utils.set_random_seed(0)
    network = build_model(CONFIG, DATA)
    network.set_weights([5 * weight if weight.ndim > 1 else weight for weight in network.get_weights()])
    export.export(network, CONFIG, DATA, str(folder / "Format-Serving"))
    return executions.artifact(standard_artifacts.Model, folder)


@pytest.fixture(scope="module")
def answers(model, folder):
    """The class ids that the model answers to the decoded test images."""
    images, _ = features.parse(tf.constant(records(folder)), 99)
    loaded = tf.saved_model.load(f"{model.uri}/Format-Serving")
    found = loaded.answer(images)[export.CLASS_ID].numpy()
    assert len(set(found.tolist())) > 2, "with one class, everything would agree"
    return found


def records(folder, split="test"):
    return list(tf.data.TFRecordDataset(tf.io.gfile.glob(f"{folder}/Split-{split}/*")).as_numpy_iterator())


def accuracy(answers):
    return np.mean(answers == np.arange(COUNT) % NUM_CLASSES)


def test_both_signatures_answer_alike(model, folder, answers):
    loaded = tf.saved_model.load(f"{model.uri}/Format-Serving")

    outputs = loaded.signatures[export.SERVING_EXAMPLES](examples=tf.constant(records(folder)))

    assert outputs[export.CLASS_ID].numpy().tolist() == answers.tolist()
    [smaller] = features.serialize(*large_images.draw(1, 98))
    with pytest.raises(tf.errors.InvalidArgumentError):
        loaded.signatures[export.SERVING_EXAMPLES](examples=tf.constant([smaller]))


def test_canary_blesses(tmp_path, examples, model):
    report = read_report(run_canary(tmp_path, examples, model, max_latency_ms=60_000.0).uri)

    assert (report.passed, report.reason) == (True, "both signatures returned the same for 12 images")


@pytest.fixture(params=[COUNT, 5])
def at_once(request, monkeypatch):
    """The number of images that fit into memory decoded; checks that no more are decoded at once."""
    monkeypatch.setattr(features, "_BLOCK_BYTES", request.param * DATA.image_bytes)
    decoded, decode = [], features.decode_images
    monkeypatch.setattr(
        features, "decode_images", lambda stored, size: decoded.append(len(stored)) or decode(stored, size)
    )
    yield request.param
    assert 0 < max(decoded) <= request.param


def test_evaluator_measures_each_image_and_a_corrupted_copy(tmp_path, examples, model, answers, at_once):
    evaluation, blessing = evaluate(tmp_path, examples, model, COUNT, min_top1=0.0, max_ece=1.0)

    assert is_blessed(blessing), explain(evaluation.uri)
    metrics = read_metrics(evaluation.uri, NUM_CLASSES)
    assert metrics["examples"] == COUNT and metrics["top1"] == pytest.approx(accuracy(answers))
    assert sum(measured["examples"] for measured in metrics["corrupted_top1"].values()) == COUNT


def test_gate_measures_the_pixels(folder, at_once):
    split = quality.read_split(f"{folder}/Split-eval", "eval", DATA)

    images, labels = large_images.draw(COUNT, 99, seed=1)
    assert split.labels.tolist() == labels.tolist()
    np.testing.assert_allclose(split.image_features[:, :3], images.mean(axis=(1, 2)), atol=0.5)
    np.testing.assert_allclose(split.image_features[:, 3], images.reshape(COUNT, -1).std(axis=1), atol=0.5)


def test_gate_finds_duplicates_by_the_stored_bytes(tmp_path):
    images, labels = large_images.draw(6, 99)
    images[4] = images[1]
    split = tmp_path / "Split-train"
    split.mkdir()
    with tf.io.TFRecordWriter(str(split / "data")) as writer:
        for record in features.serialize(images, labels):
            writer.write(record)

    [found] = quality.find_duplicates([quality.read_split(str(split), "train", DATA)])

    assert str(found) == "train 4 is train 1"


@pytest.mark.parametrize(
    "size, end, found",
    [
        (98, None, "a JPEG of 98 x 98 pixels, but an image has 99 x 99"),
        (99, -100, r"[\d,]+ bytes that are no JPEG, or a damaged one"),
        (64, None, "12,288 bytes that are no JPEG, or a damaged one"),
    ],
    ids=["smaller", "cut", "raw pixels"],
)
def test_gate_names_an_image_that_cannot_be_decoded(tmp_path, monkeypatch, size, end, found):
    monkeypatch.setattr(features, "_BLOCK_BYTES", 3 * DATA.image_bytes)
    good = features.serialize(*large_images.draw(7, 99))
    bad = tf.train.Example.FromString(features.serialize(*large_images.draw(1, size))[0])
    content = bad.features.feature["image"].bytes_list.value
    content[0] = content[0][:end]
    with tf.io.TFRecordWriter(str(tmp_path / "data")) as writer:
        for record in [*good, bad.SerializeToString(), good[0]]:
            writer.write(record)

    with pytest.raises(DataError, match=rf"^split test, image 7: {found}; get the data again$"):
        quality.read_split(str(tmp_path), "test", DATA)


@pytest.mark.slow
def test_lite_files_agree_with_the_model(tmp_path, examples, model):
    made = executions.artifact(standard_artifacts.Model, tmp_path / "lite")
    settings = {"calibration_images": 8, "test_images": COUNT, "min_float_agreement": 1.0, "min_int8_agreement": 0.0}

    LiteExport.test_call(model=model, examples=examples, lite_model=made, **settings)

    float32, _ = read_lite_report(str(tmp_path / "lite")).files
    assert (float32.agreement, float32.rejected) == (1.0, None)


def test_saved_predictions_have_small_pictures(folder, model, answers):
    saved = predictions.gather(f"{model.uri}/Format-Serving", str(folder))

    assert saved.answers.tolist() == answers.tolist()
    assert saved.mistake_images.shape[1:] == (96, 96, 3) and saved.sample_images.shape[1:] == (64, 64, 3)
    drawn, _ = large_images.draw(COUNT, 99, seed=2)
    means = drawn[saved.mistakes].mean(axis=(1, 2))
    np.testing.assert_allclose(saved.mistake_images.mean(axis=(1, 2)), means, atol=1)


def test_few_records_are_read_at_once_for_predictions(folder, model, answers, monkeypatch):
    sizes, read = [], RecordFiles.read
    monkeypatch.setattr(features, "_BLOCK_BYTES", 5 * DATA.image_bytes)
    monkeypatch.setattr(predictions, "MAX_MISTAKES", 5)
    monkeypatch.setattr(predictions, "SAMPLES", 0)
    monkeypatch.setattr(RecordFiles, "read", lambda self, numbers: sizes.append(len(numbers)) or read(self, numbers))

    saved = predictions.gather(f"{model.uri}/Format-Serving", str(folder))

    assert saved.answers.tolist() == answers.tolist() and max(sizes) == 5
