import numpy as np
import pytest
import tensorflow as tf

from shiftvit.geometry import crop_and_flip, reflect_indices, sample

SEED = (3, 7)


def numbered(count=1):
    """Images whose every pixel is another: the red channel tells the row, the green the column, the blue the image."""
    rows, columns = np.mgrid[:32, :32].astype(np.uint8)
    return np.stack([np.stack([rows, columns, np.full_like(rows, k)], -1) for k in range(count)])


def positions(padding, flip, count=144):
    """Returns (rows, columns) that each cropped and flipped image reads, (count, 32) each."""
    images = crop_and_flip(numbered(count), SEED, padding, flip).numpy()
    return images[:, :, 0, 0].astype(int), images[:, 0, :, 1].astype(int)


def test_every_cropped_image_keeps_to_its_own_pixels_moved_as_one():
    images = crop_and_flip(numbered(50), SEED, 6, True).numpy()

    assert images.dtype == np.uint8
    assert (images[..., 2] == np.arange(50)[:, None, None]).all(), "pixels of another image"
    assert (images[..., 0] == images[:, :, :1, 0]).all() and (images[..., 1] == images[:, :1, :, 1]).all()


def test_no_padding_and_no_flip_leave_the_images_as_they_are():
    np.testing.assert_array_equal(crop_and_flip(numbered(30), SEED, 0, False), numbered(30))


def test_a_crop_is_the_image_reflected_at_its_borders_and_moved_by_up_to_the_padding():
    padded = np.pad(np.arange(32), 4, mode="reflect")
    crops = {tuple(padded[start : start + 32]) for start in range(9)}

    for lines in positions(4, False):
        assert {tuple(line) for line in lines} == crops, "every offset, and no other, within 144 images"


def test_images_of_a_batch_move_independently_in_both_directions():
    rows, columns = positions(4, False)

    assert abs(np.corrcoef(rows[:, 16], columns[:, 16])[0, 1]) < 0.3
    assert len(set(rows[:, 16])) == 9


def test_about_half_of_the_images_are_turned_left_to_right_and_none_upside_down():
    rows, columns = positions(0, True)

    assert (rows == np.arange(32)).all()
    turned = (columns == np.arange(32)[::-1]).all(axis=1)
    assert ((columns == np.arange(32)).all(axis=1) | turned).all()
    assert 0.35 < turned.mean() < 0.65


@pytest.mark.parametrize("size", [2, 32])
def test_mirroring_is_numpys_reflection_however_far_outside(size):
    reach = np.arange(-3 * size, 4 * size)

    np.testing.assert_array_equal(reflect_indices(reach, size), np.pad(np.arange(size), 3 * size, mode="reflect"))


def test_sampling_at_the_pixels_gives_the_pixels():
    images = np.random.default_rng(0).integers(0, 256, (3, 5, 7, 3), np.uint8)
    rows, columns = np.broadcast_to(np.mgrid[:5.0, :7.0][:, None], (2, 3, 5, 7)).astype(np.float32)

    np.testing.assert_array_equal(sample(images, rows, columns), images)


def test_sampling_between_pixels_weighs_the_four_by_their_nearness_and_mirrors_at_the_borders():
    image = np.array([[0, 100], [200, 40]], np.uint8).reshape(1, 2, 2, 1)
    points = {
        (0, 0.25): 25,
        (0.5, 0): 100,
        (0.5, 0.5): 85,
        (0.25, 0.75): 76,
        (0.75, 0.75): 79,
        (-0.25, 0): 50,
        (0, 1.5): 50,
        (2, 2): 0,
    }

    for (row, column), value in points.items():
        full = [tf.fill((1, 2, 2), float(place)) for place in (row, column)]
        assert (sample(image, *full).numpy() == value).all(), (row, column)
