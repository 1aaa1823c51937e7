import numpy as np
import pytest
import tensorflow as tf
from known_data import IMAGE_BYTES, IMAGE_SHAPE

from shiftvit import features


def test_parse_inverts_encode():
    images = np.random.default_rng(0).integers(0, 256, (3, *IMAGE_SHAPE), np.uint8)
    records = [features.encode(image, label) for image, label in zip(images, (0, 5, 9), strict=True)]

    parsed, labels = features.parse(tf.constant(records), 32)

    np.testing.assert_array_equal(parsed, images)
    assert labels.numpy().tolist() == [0, 5, 9] and labels.dtype == tf.int64


def test_a_record_holds_raw_rgb_pixels_in_row_major_order():
    image = np.arange(IMAGE_BYTES, dtype=np.int64).astype(np.uint8).reshape(IMAGE_SHAPE)

    record = tf.train.Example.FromString(features.encode(image, 3)).features.feature

    assert set(record) == {"image", "label"}
    assert record["image"].bytes_list.value == [bytes(k % 256 for k in range(3072))]
    assert record["label"].int64_list.value == [3]


def test_an_image_of_another_size_is_refused():
    with pytest.raises(tf.errors.InvalidArgumentError):
        features.decode_images(tf.constant([b"\0" * (IMAGE_BYTES - 1)]), 32)
