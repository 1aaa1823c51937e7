import numpy as np
import pytest
import tensorflow as tf

from shiftvit.geometry import crop_and_flip, reflect_indices, sample

SEED = (3, 7)


def numbered(count=1):
    """Images whose red, green and blue values are the indices of the row, the column and the image."""
    rows, columns = np.mgrid[:32, :32].astype(np.uint8)
    return np.stack([np.stack([rows, columns, np.full_like(rows, k)], -1) for k in range(count)])


def positions(padding, flip, count=144):
    """Returns the rows and columns that each cropped and flipped image reads, (count, 32) each."""
    images = crop_and_flip(numbered(count), SEED, padding, flip).numpy()
    return images[:, :, 0, 0].astype(int), images[:, 0, :, 1].astype(int)


def test_cropping_moves_all_pixels_of_an_image_together():
    images = crop_and_flip(numbered(50), SEED, 6, True).numpy()

    assert images.dtype == np.uint8
    assert (images[..., 2] == np.arange(50)[:, None, None]).all(), "pixels of another image"
    assert (images[..., 0] == images[:, :, :1, 0]).all() and (images[..., 1] == images[:, :1, :, 1]).all()


def test_no_padding_and_no_flip_change_nothing():
    np.testing.assert_array_equal(crop_and_flip(numbered(30), SEED, 0, False), numbered(30))


def test_crops_are_all_windows_of_the_reflect_padded_image():
    padded = np.pad(np.arange(32), 4, mode="reflect")
    crops = {tuple(padded[start : start + 32]) for start in range(9)}

    for lines in positions(4, False):
        assert {tuple(line) for line in lines} == crops, "every offset and no other"


def test_images_of_a_batch_move_independently_in_both_directions():
    rows, columns = positions(4, False)

    assert abs(np.corrcoef(rows[:, 16], columns[:, 16])[0, 1]) < 0.3
    assert len(set(rows[:, 16])) == 9


def test_about_half_of_the_images_are_flipped_left_to_right():
    rows, columns = positions(0, True)

    assert (rows == np.arange(32)).all()
    flipped = (columns == np.arange(32)[::-1]).all(axis=1)
    assert ((columns == np.arange(32)).all(axis=1) | flipped).all()
    assert 0.35 < flipped.mean() < 0.65


@pytest.mark.parametrize("size", [2, 32])
def test_reflect_indices_equals_numpys_reflect_padding(size):
    indices = np.arange(-3 * size, 4 * size)

    np.testing.assert_array_equal(reflect_indices(indices, size), np.pad(np.arange(size), 3 * size, mode="reflect"))


def test_sampling_at_pixel_centres_returns_the_pixels():
    images = np.random.default_rng(0).integers(0, 256, (3, 5, 7, 3), np.uint8)
    rows, columns = np.broadcast_to(np.mgrid[:5.0, :7.0][:, None], (2, 3, 5, 7)).astype(np.float32)

    np.testing.assert_array_equal(sample(images, rows, columns), images)


def test_sampling_is_bilinear_and_reflects_at_the_borders():
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
