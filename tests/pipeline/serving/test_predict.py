import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from pipeline.serving import predict as asking
from pipeline.serving.predict import check_image, predict
from shiftvit import export
from shiftvit.errors import DataError, UserError
from shiftvit.files import atomic

COLOURS = ("red", "green", "blue", "dark")


class Brightest(tf.keras.layers.Layer):
    """Logits by the mean of each colour channel; a fourth class for what is dark."""

    def call(self, images):
        means = tf.reduce_mean(tf.cast(images, tf.float32), axis=(1, 2)) / 25.5
        return tf.concat([means, tf.fill((tf.shape(images)[0], 1), 3.0)], axis=-1)


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    images = tf.keras.Input((32, 32, 3), dtype=tf.uint8)
    folder = tmp_path_factory.mktemp("serving") / "7"
    server = export.ServingModule(tf.keras.Model(images, Brightest()(images)), COLOURS)
    tf.saved_model.save(server, str(folder), signatures={export.SERVING_DEFAULT: server.serve_images})
    return folder


@pytest.fixture
def picture(tmp_path):
    def draw(name, colour, size=(32, 32), **options):
        Image.new("RGB", size, colour).save(tmp_path / name, **options)
        return tmp_path / name

    return draw


def test_classes_in_the_order_of_the_files_whatever_their_format_and_size(model, picture):
    images = [
        picture("a.png", (255, 0, 0)),
        picture("b.jpg", (0, 0, 255), size=(61, 40)),
        picture("c.png", (0, 0, 0)),
        picture("d.jpeg", (0, 255, 0)),
    ]
    answers = predict(model, images)
    assert [answer.path for answer in answers] == images
    assert [answer.class_name for answer in answers] == ["red", "blue", "dark", "green"]
    assert [answer.class_id for answer in answers] == [0, 2, 3, 1]


def test_probabilities_are_of_the_names_that_they_stand_beside(model, picture):
    (answer,) = predict(model, [picture("a.png", (255, 51, 0))])
    expected = np.exp([10, 2, 0, 3]) / np.exp([10, 2, 0, 3]).sum()
    assert [name for name, _ in answer.top3] == ["red", "dark", "green"]
    np.testing.assert_allclose([p for _, p in answer.top3], expected[[0, 3, 1]], rtol=1e-5)
    assert answer.probability == answer.top3[0][1]


def test_more_images_than_a_batch(model, picture):
    red, blue = picture("r.png", (255, 0, 0)), picture("b.png", (0, 0, 255))
    assert [a.class_name for a in predict(model, [red] * 70 + [blue])] == ["red"] * 70 + ["blue"]


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (None, "cannot read it"),
        (b"", "not a PNG or JPEG"),
        (b"GIF89a....", "not a PNG or JPEG"),
        (b"\x89PNG\r\n\x1a\nnonsense", "damaged PNG"),
        (b"\xff\xd8\xffnonsense", "damaged JPEG"),
    ],
)
def test_no_image_is_told_with_its_name(tmp_path, content, told):
    path = tmp_path / "x.png"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(DataError, match=rf"x\.png: .*{told}"):
        check_image(path)


@pytest.mark.parametrize("name", ["whole.png", "whole.jpg"])
def test_image_that_is_cut_short_is_refused(picture, name):
    path = picture(name, (9, 99, 199), size=(200, 200))
    path.write_bytes(path.read_bytes()[:-150])
    with pytest.raises(DataError, match="damaged"):
        check_image(path)


def test_image_with_too_many_pixels_is_refused_before_it_is_decoded(tmp_path):
    Image.new("1", (20_000, 20_000)).save(tmp_path / "bomb.png")
    with pytest.raises(DataError, match=r"bomb\.png.* pixels"):
        check_image(tmp_path / "bomb.png")


def test_folder_that_holds_no_model_is_told(tmp_path, picture):
    with pytest.raises(UserError, match="not a SavedModel"):
        predict(tmp_path, [picture("a.png", (0, 0, 0))])


def test_the_version_stays_while_it_is_asked_though_newer_ones_take_its_place(model, picture, monkeypatch):
    monkeypatch.setattr(asking, "_ask", lambda loaded, images: [atomic.remove(model)])
    assert predict(model, [picture("a.png", (0, 0, 0))]) == [False]


def test_version_that_went_before_it_was_asked_is_told(tmp_path, picture):
    with pytest.raises(UserError, match=r"7: cannot be read \(No such file or directory\); `shiftvit versions` lists"):
        predict(tmp_path / "7", [picture("a.png", (0, 0, 0))])
