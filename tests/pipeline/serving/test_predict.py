import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from pipeline.serving import predict as predict_module
from pipeline.serving.predict import predict
from shiftvit import export
from shiftvit.errors import DataError, UserError
from shiftvit.files import atomic
from shiftvit.image_files import check_image, decode_image

COLOURS = ("red", "green", "blue", "dark")


class Brightest(tf.keras.layers.Layer):
    """Logits by the mean of each colour channel; a fourth class for dark images."""

    def call(self, images):
        means = tf.reduce_mean(tf.cast(images, tf.float32), axis=(1, 2)) / 25.5
        return tf.concat([means, tf.fill((tf.shape(images)[0], 1), 3.0)], axis=-1)


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    images = tf.keras.Input((32, 32, 3), dtype=tf.uint8)
    folder = tmp_path_factory.mktemp("serving") / "7"
    server = export.ServingModule(tf.keras.Model(images, Brightest()(images)), COLOURS, 32)
    tf.saved_model.save(server, str(folder), signatures={export.SERVING_DEFAULT: server.serve_images})
    return folder


@pytest.fixture
def image_file(tmp_path):
    def save(name, colour, size=(32, 32), **options):
        Image.new("RGB", size, colour).save(tmp_path / name, **options)
        return tmp_path / name

    return save


def test_predictions_are_in_the_order_of_the_files_for_any_format_and_size(model, image_file):
    images = [
        image_file("a.png", (255, 0, 0)),
        image_file("b.jpg", (0, 0, 255), size=(61, 40)),
        image_file("c.png", (0, 0, 0)),
        image_file("d.jpeg", (0, 255, 0)),
    ]
    predictions = predict(model, images)
    assert [each.path for each in predictions] == images
    assert [each.class_name for each in predictions] == ["red", "blue", "dark", "green"]
    assert [each.class_id for each in predictions] == [0, 2, 3, 1]


def test_top3_pairs_each_class_name_with_its_probability(model, image_file):
    (prediction,) = predict(model, [image_file("a.png", (255, 51, 0))])
    expected = np.exp([10, 2, 0, 3]) / np.exp([10, 2, 0, 3]).sum()
    assert [name for name, _ in prediction.top3] == ["red", "dark", "green"]
    np.testing.assert_allclose([p for _, p in prediction.top3], expected[[0, 3, 1]], rtol=1e-5)
    assert prediction.probability == prediction.top3[0][1]


def test_more_images_than_fit_in_a_batch(model, image_file):
    red, blue = image_file("r.png", (255, 0, 0)), image_file("b.png", (0, 0, 255))
    assert [a.class_name for a in predict(model, [red] * 70 + [blue])] == ["red"] * 70 + ["blue"]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (None, "cannot read it"),
        (b"", "not a PNG, JPEG, BMP, GIF or WebP image"),
        (b"GIF89a....", "damaged GIF"),
        (b"\x89PNG\r\n\x1a\nnonsense", "not a PNG"),
        (b"\xff\xd8\xffnonsense", "damaged JPEG"),
    ],
)
def test_file_that_is_no_image_raises_with_its_name(tmp_path, content, reason):
    path = tmp_path / "x.png"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(DataError, match=rf"x\.png: .*{reason}"):
        decode_image(path, 32)


@pytest.mark.parametrize("name", ["a.png", "a.jpg"])
def test_truncated_image_raises(image_file, name):
    path = image_file(name, (9, 99, 199), size=(200, 200))
    path.write_bytes(path.read_bytes()[:-150])
    with pytest.raises(DataError, match="damaged"):
        decode_image(path, 32)


def test_image_with_too_many_pixels_raises(tmp_path):
    Image.new("1", (20_000, 20_000)).save(tmp_path / "bomb.png")
    with pytest.raises(DataError, match=r"bomb\.png.* pixels"):
        check_image(tmp_path / "bomb.png")


def test_folder_without_a_model_raises(tmp_path, image_file):
    with pytest.raises(UserError, match="not a SavedModel"):
        predict(tmp_path, [image_file("a.png", (0, 0, 0))])


def test_version_cannot_be_removed_while_it_runs(model, image_file, monkeypatch):
    monkeypatch.setattr(predict_module, "_classify", lambda loaded, images: [atomic.remove(model)])
    assert predict(model, [image_file("a.png", (0, 0, 0))]) == [False]


def test_removed_version_raises(tmp_path, image_file):
    with pytest.raises(UserError, match=r"7: cannot be read \(No such file or directory\); `shiftvit versions` lists"):
        predict(tmp_path / "7", [image_file("a.png", (0, 0, 0))])


class Of48Pixels(tf.Module):
    """Classifies images of another size, by the colour of the pixel in the last corner."""

    @tf.function(input_signature=[tf.TensorSpec([None, 48, 48, 3], tf.uint8)])
    def answer(self, images):
        probabilities = tf.nn.softmax(tf.cast(images[:, 47, 47], tf.float32))
        class_id = tf.argmax(probabilities, axis=-1)
        return {
            export.CLASS_NAME: tf.gather(tf.constant(COLOURS), class_id),
            export.CLASS_ID: class_id,
            export.PROBABILITIES: probabilities,
        }

    @tf.function(input_signature=[])
    def list_classes(self):
        return tf.constant(COLOURS[:3])


def test_the_size_of_the_pixels_is_the_models(tmp_path, image_file):
    tf.saved_model.save(Of48Pixels(), str(tmp_path / "model"))

    assert [each.class_name for each in predict(tmp_path / "model", [image_file("a.png", (0, 0, 255))])] == ["blue"]
