import numpy as np
import pytest
import tensorflow as tf

from shiftvit.augment import augment, crop_and_flip, mirrored
from shiftvit.config import DataConfig

SEED = (3, 7)


def numbered(count=1):
    """Images whose every pixel is another: the red channel tells the row, the green the column, the blue the image."""
    rows, columns = np.mgrid[:32, :32].astype(np.uint8)
    return np.stack([np.stack([rows, columns, np.full_like(rows, k)], -1) for k in range(count)])


def in_a_map(images, seed, config):
    """The same batch, augmented in tf.data."""
    return next(iter(tf.data.Dataset.from_tensors(images).map(lambda batch: augment(batch, seed, config)))).numpy()


def positions(count=400, **settings):
    """Returns (rows, columns) that each augmented image reads, (count, 32) each."""
    images = augment(numbered(count % 256), SEED, DataConfig(**settings)).numpy()
    return images[:, :, 0, 0].astype(int), images[:, 0, :, 1].astype(int)


def test_it_gives_images_of_the_same_kind_within_the_range_of_the_old():
    images = np.random.default_rng(0).integers(50, 60, (9, 32, 32, 3), np.uint8)

    augmented = augment(images, SEED, DataConfig()).numpy()

    assert augmented.shape == images.shape and augmented.dtype == np.uint8
    assert augmented.min() >= 50 and augmented.max() < 60


def test_eager_graph_and_map_agree_and_the_seed_alone_decides():
    images, config = numbered(20), DataConfig()

    eager = augment(images, SEED, config).numpy()

    np.testing.assert_array_equal(eager, augment(images, SEED, config))
    np.testing.assert_array_equal(eager, tf.function(augment)(images, tf.constant(SEED), config))
    np.testing.assert_array_equal(eager, in_a_map(images, SEED, config))
    assert (eager != augment(images, (3, 8), config).numpy()).any()


def test_no_padding_and_no_flip_leave_the_images_as_they_are():
    images = numbered(30)

    np.testing.assert_array_equal(augment(images, SEED, DataConfig(crop_padding=0, flip=False)), images)


def test_every_image_keeps_to_its_own_pixels_moved_as_one():
    images = augment(numbered(50), SEED, DataConfig(crop_padding=6)).numpy()

    assert (images[..., 2] == np.arange(50)[:, None, None]).all(), "pixels of another image"
    assert (images[..., 0] == images[:, :, :1, 0]).all() and (images[..., 1] == images[:, :1, :, 1]).all()


def test_a_crop_is_the_image_reflected_at_its_borders_and_moved_by_up_to_the_padding():
    padded = np.pad(np.arange(32), 4, mode="reflect")
    crops = {tuple(padded[start : start + 32]) for start in range(9)}

    for lines in positions(flip=False, crop_padding=4):
        assert {tuple(line) for line in lines} == crops, "every offset, and no other, within 144 images"


def test_images_of_a_batch_move_independently_in_both_directions():
    rows, columns = positions(flip=False, crop_padding=4)

    assert abs(np.corrcoef(rows[:, 16], columns[:, 16])[0, 1]) < 0.3
    assert len(set(rows[:, 16])) == 9


def test_about_half_of_the_images_are_turned_left_to_right_and_none_upside_down():
    rows, columns = positions(flip=True, crop_padding=0)

    assert (rows == np.arange(32)).all()
    turned = (columns == np.arange(32)[::-1]).all(axis=1)
    assert ((columns == np.arange(32)).all(axis=1) | turned).all()
    assert 0.35 < turned.mean() < 0.65


@pytest.mark.parametrize("size", [2, 32])
def test_mirroring_is_numpys_reflection(size):
    reach = np.arange(1 - size, 2 * size - 1)

    np.testing.assert_array_equal(mirrored(reach, size), np.pad(np.arange(size), size - 1, mode="reflect"))


def test_xla_can_compile_it():
    images = numbered(4)
    compiled = tf.function(crop_and_flip, jit_compile=True)

    assert compiled(images, tf.constant(SEED), 4, True).shape == images.shape
