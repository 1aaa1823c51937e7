import colorsys

import numpy as np
import pyarrow as pa
import pytest
import tensorflow as tf
import tensorflow_model_analysis as tfma
from known_data import IMAGE_SHAPE
from scipy import ndimage

from components.evaluator.corruptions import CORRUPTIONS, blur, brightness, choose, noise
from components.evaluator.extraction import CORRUPTION, add_corrupted, split_batch
from shiftvit import features


def draw(count):
    return np.random.default_rng(0).integers(0, 256, (count, *IMAGE_SHAPE), np.uint8)


@pytest.mark.parametrize("corrupt", CORRUPTIONS.values(), ids=CORRUPTIONS)
def test_corruption_changes_the_image_and_is_deterministic(corrupt):
    (image,) = draw(1)
    before = image.copy()

    copy = corrupt(image)

    assert (copy.shape, copy.dtype) == (image.shape, np.uint8)
    assert 2 < np.abs(copy.astype(int) - image).mean() < 64
    np.testing.assert_array_equal(corrupt(image.copy()), copy)
    np.testing.assert_array_equal(image, before)


def test_noise_has_the_published_strength_and_differs_between_images():
    copies = [noise(np.full(IMAGE_SHAPE, grey, np.uint8)).astype(int) - grey for grey in (127, 128)]

    assert [copy.std() for copy in copies] == pytest.approx([0.08 * 255] * 2, rel=0.05)
    assert abs(np.corrcoef(copies[0].ravel(), copies[1].ravel())[0, 1]) < 0.1


def test_blur_is_gaussian():
    (image,) = draw(1)

    expected = ndimage.gaussian_filter(image.astype(float), (0.7, 0.7, 0), mode="nearest")

    np.testing.assert_allclose(blur(image), expected, atol=0.51)


def test_brightness_raises_value_and_keeps_hue_and_saturation():
    (image,) = draw(1)
    image[0, 0] = 0

    def brighter(pixel):
        hue, saturation, value = colorsys.rgb_to_hsv(*pixel / 255)
        return np.array(colorsys.hsv_to_rgb(hue, saturation, min(value + 0.15, 1))) * 255

    expected = np.apply_along_axis(brighter, -1, image)
    np.testing.assert_allclose(brightness(image), expected, atol=0.51)


def test_corruptions_are_about_equally_frequent():
    names = [choose(image) for image in draw(1000)]

    assert set(names) == set(CORRUPTIONS)
    assert min(names.count(name) for name in CORRUPTIONS) > 200


def make_batch(records):
    batch = pa.RecordBatch.from_arrays(
        [pa.array([[record] for record in records], pa.large_list(pa.large_binary()))],
        [tfma.constants.ARROW_INPUT_COLUMN],
    )
    return {tfma.ARROW_RECORD_BATCH_KEY: batch}


def extract(records):
    return add_corrupted(make_batch(records))


def test_batch_gets_a_corrupted_copy_of_each_record():
    images, labels = draw(8), np.arange(8)
    records = [features.encode(image, label) for image, label in zip(images, labels, strict=True)]

    extracts = extract(records)

    doubled = list(extracts[tfma.INPUT_KEY])
    assert doubled[:8] == records
    copies, _ = features.parse(tf.constant(doubled[8:]), 32)
    names = [choose(image) for image in images]
    for copy, name, image in zip(copies.numpy(), names, images, strict=True):
        np.testing.assert_array_equal(copy, CORRUPTIONS[name](image))
    assert extracts[tfma.FEATURES_KEY][features.LABEL].ravel().tolist() == [*labels, *labels]
    assert extracts[tfma.FEATURES_KEY][CORRUPTION].ravel().tolist() == ["none"] * 8 + names


def test_copies_do_not_depend_on_batches():
    records = [features.encode(image, 0) for image in draw(6)]

    together = extract(records)[tfma.INPUT_KEY][6:]
    apart = [extract([record])[tfma.INPUT_KEY][1] for record in reversed(records)]

    assert sorted(together) == sorted(apart)


@pytest.mark.parametrize("size, count, sizes", [(32, 1000, [1000]), (512, 50, [21, 21, 8])])
def test_batches_are_split_so_that_memory_holds_their_pixels(size, count, sizes):
    images = np.zeros((count, size, size, 3), np.uint8)
    records = [features.encode(images[0], index) for index in range(count)]

    parts = [add_corrupted(part) for part in split_batch(make_batch(records))]

    assert [len(part[tfma.INPUT_KEY]) for part in parts] == [2 * size for size in sizes]
    labels = [part[tfma.FEATURES_KEY][features.LABEL].ravel()[: len(part[tfma.INPUT_KEY]) // 2] for part in parts]
    assert np.concatenate(labels).tolist() == list(range(count))


@pytest.mark.parametrize("size", [8, 65, 224])
def test_images_of_any_size_are_corrupted(size):
    image = np.random.default_rng(0).integers(0, 256, (size, size, 3), np.uint8)

    for corrupt in CORRUPTIONS.values():
        copy = corrupt(image)
        assert copy.shape == image.shape and copy.dtype == np.uint8 and (copy != image).any()
