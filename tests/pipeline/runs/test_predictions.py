import hashlib
import io
import shutil
from dataclasses import replace

import numpy as np
import pytest
import tensorflow as tf
from known_data import CLASS_NAMES, IMAGE_SHAPE, describe

from pipeline.runs import predictions as saved_predictions
from shiftvit import features, progress
from shiftvit.export import SERVING_DEFAULT, SERVING_EXAMPLES, ServingModule

CONFIDENCES = {0: 0.9, 1: 0.6, 2: 0.8, 3: float("nan")}  # of the answers, by true class


class WrongUnlessMarked(tf.Module):
    """Answers images whose last pixel is white with their class, and all others with the next class."""

    def __init__(self):
        super().__init__()
        confidences = [CONFIDENCES.get(k, 0.999 - 0.01 * k) for k in range(10)]
        self.margins = tf.Variable(np.log([9 * p / (1 - p) for p in confidences]), dtype=tf.float32)

    def __call__(self, images, training=False):
        classes = tf.cast(images[:, 0, 0, 0], tf.int32)
        wrong = tf.cast(images[:, -1, -1, -1] < 255, tf.int32)
        return tf.gather(self.margins, classes)[:, None] * tf.one_hot((classes + wrong) % 10, 10)


def draw(class_id, white=False, shade=0):
    image = np.full(IMAGE_SHAPE, class_id, np.uint8)
    image[1] = shade
    image[-1, -1] = 255 if white else 0
    return image


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A model, 16 test examples of which it answers the last 6 right, and 80 training examples."""
    folder = tmp_path_factory.mktemp("asked")
    test = [(draw(k % 10, white=k >= 10, shade=k), k % 10) for k in range(16)]
    train = [(draw(k % 10, shade=k), k % 10) for k in range(80)]
    for split, drawn in (("test", test), ("train", train)):
        (folder / f"Split-{split}").mkdir()
        for number, half in enumerate((drawn[:7], drawn[7:])):
            with tf.io.TFRecordWriter(f"{folder}/Split-{split}/data_tfrecord-{number:05d}-of-00002") as writer:
                for image, label in half:
                    writer.write(features.encode(image, label))
    describe(folder)
    server = ServingModule(WrongUnlessMarked(), CLASS_NAMES, 32)
    signatures = {SERVING_DEFAULT: server.serve_images, SERVING_EXAMPLES: server.serve_examples}
    tf.saved_model.save(server, str(folder / "model"), signatures=signatures)
    return folder


@pytest.fixture(scope="module")
def gathered(folder):
    return saved_predictions.gather(str(folder / "model"), str(folder))


def test_answers_are_in_the_order_of_the_test_images(gathered, monkeypatch, folder):
    labels = np.arange(16) % 10
    assert gathered.labels.tolist() == labels.tolist()
    assert gathered.right.tolist() == [False] * 3 + [False] * 7 + [True] * 3 + [gathered.answers[13] == 3] + [True] * 2
    assert gathered.confidences[:3] == pytest.approx([0.9, 0.6, 0.8], abs=1e-4)
    monkeypatch.setattr(saved_predictions, "_BATCH", 5)
    again = saved_predictions.gather(str(folder / "model"), str(folder))
    # Another batch size rounds matrix products differently.
    assert again.confidences == pytest.approx(gathered.confidences, rel=1e-5, nan_ok=True)
    others = {name: value for name, value in vars(gathered).items() if name != "confidences"}
    assert all(np.array_equal(vars(again)[name], value) for name, value in others.items())


def test_mistakes_are_ordered_by_confidence_with_their_images(gathered, monkeypatch, folder):
    assert gathered.mistakes.tolist() == [4, 5, 6, 7, 8, 9, 0, 2, 1], "NaN is not a confidence"
    assert [image[1, 0, 0] for image in gathered.mistake_images] == gathered.mistakes.tolist()
    monkeypatch.setattr(saved_predictions, "MAX_MISTAKES", 2)
    assert saved_predictions.gather(str(folder / "model"), str(folder)).mistakes.tolist() == [4, 5]


def test_answers_of_the_same_model_to_the_same_images_are_reused(gathered, folder, tmp_path, caplog):
    caplog.set_level("INFO", logger="shiftvit.progress")
    saved_predictions.save(replace(gathered, confidences=gathered.confidences / 2), tmp_path / "same.npz")
    for name in ("model", "split"):
        saved_predictions.save(replace(gathered, **{name: np.array("another")}), tmp_path / f"{name}.npz")
    (tmp_path / "old.npz").write_bytes(pack(labels=gathered.labels))
    others = [tmp_path / name for name in ("none.npz", "old.npz", "model.npz", "split.npz")]

    computed = saved_predictions.gather(str(folder / "model"), str(folder), others)
    events = [getattr(record, progress.EVENT) for record in caplog.records]
    reused = saved_predictions.gather(str(folder / "model"), str(folder), [*others, tmp_path / "same.npz"])

    assert (events[-1]["stage"], events[-1]["done"], events[-1]["total"]) == ("answers", 16, 16)
    assert len(caplog.records) == len(events), "the model ran again"
    assert np.array_equal(computed.confidences, gathered.confidences, equal_nan=True)
    assert np.array_equal(reused.confidences, gathered.confidences / 2, equal_nan=True)


def pack(**arrays):
    content = io.BytesIO()
    np.savez(content, **arrays)
    return content.getvalue()


def test_models_are_identified_by_the_contents_of_their_files(gathered, folder, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(folder / "model", copy)
    same = saved_predictions.gather(str(copy), str(folder), [])
    (copy / "assets.extra").mkdir()
    (copy / "assets.extra" / "note").write_text("another")

    assert same.model == gathered.model != saved_predictions.gather(str(copy), str(folder), []).model


def test_samples_are_the_first_images_of_each_class(gathered):
    assert gathered.sample_labels.tolist() == np.repeat(np.arange(10), saved_predictions.SAMPLES).tolist()
    shades = [image[1, 0, 0] for image in gathered.sample_images]
    assert shades == [k + 10 * n for k in range(10) for n in range(saved_predictions.SAMPLES)]


def test_digest_covers_images_and_labels_of_the_test_split(gathered):
    images = np.stack([draw(k % 10, white=k >= 10, shade=k) for k in range(16)])
    content = images.tobytes() + (np.arange(16) % 10).astype(np.uint16).tobytes()
    assert str(gathered.split) == hashlib.sha256(content).hexdigest()


def test_saved_predictions_can_be_loaded(gathered, tmp_path):
    saved_predictions.save(gathered, tmp_path / "predictions.npz")

    read = saved_predictions.load(tmp_path / "predictions.npz")

    assert all(
        np.array_equal(vars(read)[name], value, equal_nan=value.dtype.kind == "f")
        for name, value in vars(gathered).items()
    )
    assert saved_predictions.load(tmp_path / "none.npz") is None
