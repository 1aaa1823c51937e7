import json
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import tensorflow as tf
from known_data import CIFAR10, CLASS_NAMES

from pipeline.sources import shapes
from shiftvit import export
from shiftvit.config import ModelConfig
from shiftvit.features import encode
from shiftvit.fine_tuning import freeze
from shiftvit.model import NETWORK, build_model

CONFIG = ModelConfig(image_size=48, num_classes=10, patch_size=8, dims=(16, 32), depths=(1, 1), n_div=4)
IMAGES, LABELS = shapes.draw(12, 0, "test")
OUTPUTS = (export.CLASS_NAME, export.CLASS_ID, export.PROBABILITIES)

LOAD_WITHOUT_THIS_PROJECT = """
import json, sys
sys.modules.update(dict.fromkeys(["shiftvit", "tuner", "components", "pipeline", "tensorflow_addons"]))
import tensorflow as tf
loaded = tf.saved_model.load(sys.argv[1])
with open(sys.argv[2], "rb") as image:
    outputs = loaded.signatures["serving_default"](image_bytes=tf.constant([image.read()]))
print(json.dumps([outputs["class_name"].numpy()[0].decode(), outputs["probabilities"].numpy()[0].tolist()]))
"""


@pytest.fixture(scope="module")
def model():
    """A bfloat16 model with weights large enough for its predictions to differ between images."""
    tf.keras.utils.set_random_seed(0)
    model = build_model(CONFIG, CIFAR10, "mixed_bfloat16")
    model.set_weights([weight * 4 for weight in model.get_weights()])
    return model


@pytest.fixture(scope="module")
def folder(model, tmp_path_factory):
    folder = str(tmp_path_factory.mktemp("exported") / "model")
    export.export(model, CONFIG, CIFAR10, folder)
    return folder


@pytest.fixture(scope="module")
def loaded(folder):
    return tf.saved_model.load(folder)


def classify(loaded, files):
    return loaded.signatures[export.SERVING_DEFAULT](image_bytes=tf.constant(list(files)))


def png(image):
    return tf.io.encode_png(image).numpy()


def test_the_signatures_agree_exactly(loaded):
    records = tf.constant([encode(image, int(label)) for image, label in zip(IMAGES, LABELS, strict=True)])

    by_file = classify(loaded, map(png, IMAGES))
    by_record = loaded.signatures[export.SERVING_EXAMPLES](examples=records)

    assert set(by_file) == set(by_record) == set(OUTPUTS)
    for name in OUTPUTS:
        np.testing.assert_array_equal(by_file[name], by_record[name])


def test_outputs_equal_the_model_in_float32(loaded, model):
    outputs = classify(loaded, map(png, IMAGES))
    reference = build_model(CONFIG, CIFAR10)
    reference.set_weights(model.get_weights())
    expected = tf.nn.softmax(reference(IMAGES)).numpy()

    np.testing.assert_allclose(outputs["probabilities"], expected, atol=1e-6)
    np.testing.assert_array_equal(outputs["class_id"], expected.argmax(axis=1))
    assert len(set(outputs["class_id"].numpy())) > 1, "a constant model would test nothing"


def test_a_model_with_frozen_layers_is_exported_as_it_is(tmp_path):
    """Keras orders the weights of a layer with batch norm by whether they train."""
    config = replace(CONFIG, norm="batch")
    model = build_model(config, CIFAR10)
    model.set_weights([np.random.default_rng(0).uniform(0.1, 0.5, weight.shape) for weight in model.weights])
    freeze(model.get_layer(NETWORK), 1, config.depths)
    expected = tf.nn.softmax(model(IMAGES))

    export.export(model, config, CIFAR10, str(tmp_path / "model"))

    loaded = tf.saved_model.load(str(tmp_path / "model"))
    found = loaded.answer(tf.constant(IMAGES))[export.PROBABILITIES]
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_class_names_match_class_ids(loaded):
    outputs = classify(loaded, map(png, IMAGES))

    assert [name.decode() for name in outputs["class_name"].numpy()] == [CLASS_NAMES[k] for k in outputs["class_id"]]
    assert [name.decode() for name in loaded.list_classes().numpy()] == list(CLASS_NAMES)


def test_records_need_no_label(loaded):
    example = tf.train.Example.FromString(encode(IMAGES[0], 0))
    del example.features.feature["label"]

    outputs = loaded.signatures[export.SERVING_EXAMPLES](examples=tf.constant([example.SerializeToString()]))

    np.testing.assert_array_equal(outputs["probabilities"], classify(loaded, [png(IMAGES[0])])["probabilities"])


@pytest.mark.parametrize("size", [(32, 32), (7, 90), (200, 64), (1, 1)])
@pytest.mark.parametrize("encoder", [tf.io.encode_png, tf.io.encode_jpeg])
def test_images_of_different_sizes_fit_in_one_request(loaded, size, encoder):
    image = tf.cast(tf.random.stateless_uniform((*size, 3), (0, 0)) * 255, tf.uint8)

    outputs = classify(loaded, [encoder(image).numpy(), png(IMAGES[0])])

    assert outputs["probabilities"].shape == (2, 10)
    np.testing.assert_allclose(tf.reduce_sum(outputs["probabilities"], axis=1), 1, atol=1e-5)


def test_an_image_of_the_stored_size_is_decoded_bit_for_bit():
    for image in IMAGES:
        np.testing.assert_array_equal(export.decode_image(png(image), 32), image)


def test_downscaling_is_antialiased():
    stripes = np.zeros((256, 256, 3), np.uint8)
    stripes[3::8] = stripes[4::8] = 200  # the two rows of every eight that resizing without antialiasing would read

    small = export.decode_image(png(stripes), 32).numpy().astype(int)

    assert small.shape == (32, 32, 3) and small[1:-1].min() > 30 and small[1:-1].max() < 80


def test_grey_becomes_rgb_and_transparency_is_ignored():
    image = IMAGES[0]
    grey, opacity = image[..., :1], np.full((32, 32, 1), 9, np.uint8)

    np.testing.assert_array_equal(export.decode_image(png(grey), 32), np.repeat(grey, 3, axis=-1))
    np.testing.assert_array_equal(export.decode_image(png(np.concatenate([image, opacity], -1)), 32), image)


def test_bytes_that_are_no_image_are_refused(loaded):
    with pytest.raises(tf.errors.InvalidArgumentError):
        classify(loaded, [b"no image"])


@pytest.mark.slow
def test_the_model_loads_without_this_projects_code(folder, loaded, tmp_path):
    (tmp_path / "image.png").write_bytes(png(IMAGES[0]))

    ended = subprocess.run(
        [sys.executable, "-c", LOAD_WITHOUT_THIS_PROJECT, folder, str(tmp_path / "image.png")],
        capture_output=True,
        text=True,
        cwd=tmp_path,
    )

    assert ended.returncode == 0, ended.stderr
    name, probabilities = json.loads(ended.stdout.splitlines()[-1])
    here = classify(loaded, [png(IMAGES[0])])
    assert name == here["class_name"].numpy()[0].decode()
    np.testing.assert_allclose(probabilities, here["probabilities"][0], atol=1e-6)
