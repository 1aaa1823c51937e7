import math

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image, ImageEnhance, ImageOps

from pipeline.sources import shapes
from shiftvit.randaugment import MAX_STRENGTH, UNSIGNED, apply_rounds, randaugment, sample_strengths

SEED = (3, 7)
MOVEMENTS = ("rotate", "shear_x", "shear_y", "translate_x", "translate_y")


def pictures(count=6):
    """Images; the first has the full range of values, the second a narrow one, and the third is uniform."""
    images = shapes.draw(count, 0, "train")[0].copy()
    images[0] = np.random.default_rng(0).integers(0, 256, images[0].shape)
    images[1] = images[1] // 8 + 100
    images[2] = 77
    return images


def one_round(count=1, **strengths):
    """A round with the given strengths, for all images or one for each, and 0 for all other operations."""
    return {name: tf.broadcast_to(tf.constant(strengths.get(name, 0.0), tf.float32), (count,)) for name in MAX_STRENGTH}


def augmented(images, *rounds):
    return apply_rounds(images, [one_round(len(images), **strengths) for strengths in rounds]).numpy()


def by_pillow(images, function):
    return np.stack([np.asarray(function(Image.fromarray(image))) for image in images])


def affine(coefficients):
    """Pillow's bilinear affine transform: reads at (a x + b y + c, d x + e y + f) from the corner."""
    return lambda image: image.transform(image.size, Image.Transform.AFFINE, coefficients, Image.Resampling.BILINEAR)


def about_the_centre(a, b, d, e):
    return affine((a, b, 16 * (1 - a - b), d, e, 16 * (1 - d - e)))


def assert_alike(ours, theirs, levels):
    assert ours.dtype == np.uint8
    assert np.abs(ours.astype(int) - theirs.astype(int)).max() <= levels


@pytest.mark.parametrize(
    "strengths, reference, levels",
    [
        ({"identity": 1.0}, lambda image: image, 0),
        ({"autocontrast": 1.0}, ImageOps.autocontrast, 1),
        ({"equalize": 1.0}, ImageOps.equalize, 0),
        ({"posterize": 2.0}, lambda image: ImageOps.posterize(image, 6), 0),
        ({"posterize": 4.0}, lambda image: ImageOps.posterize(image, 4), 0),
        ({"solarize": 100.0}, lambda image: ImageOps.solarize(image, 156), 0),
        ({"solarize": 256.0}, ImageOps.invert, 0),
        ({"color": 0.7}, lambda image: ImageEnhance.Color(image).enhance(1.7), 2),
        ({"color": -0.7}, lambda image: ImageEnhance.Color(image).enhance(0.3), 2),
        ({"contrast": 0.7}, lambda image: ImageEnhance.Contrast(image).enhance(1.7), 2),
        ({"contrast": -0.7}, lambda image: ImageEnhance.Contrast(image).enhance(0.3), 2),
        ({"brightness": 0.7}, lambda image: ImageEnhance.Brightness(image).enhance(1.7), 1),
        ({"brightness": -0.7}, lambda image: ImageEnhance.Brightness(image).enhance(0.3), 1),
        ({"sharpness": 0.7}, lambda image: ImageEnhance.Sharpness(image).enhance(1.7), 2),
        ({"sharpness": -0.7}, lambda image: ImageEnhance.Sharpness(image).enhance(0.3), 2),
    ],
    ids=lambda value: None if callable(value) else str(value),
)
def test_colour_operations_equal_pillows(strengths, reference, levels):
    images = pictures()

    assert_alike(augmented(images, strengths), by_pillow(images, reference), levels)


@pytest.mark.parametrize(
    "strengths, reference",
    [
        ({"rotate": 0.4}, about_the_centre(math.cos(0.4), -math.sin(0.4), math.sin(0.4), math.cos(0.4))),
        ({"rotate": -0.2}, about_the_centre(math.cos(0.2), math.sin(0.2), -math.sin(0.2), math.cos(0.2))),
        ({"shear_x": 0.3}, about_the_centre(1, 0.3, 0, 1)),
        ({"shear_y": -0.3}, about_the_centre(1, 0, -0.3, 1)),
        ({"translate_x": 0.3}, affine((1, 0, 9.6, 0, 1, 0))),
        ({"translate_y": -0.1}, affine((1, 0, 0, 0, 1, -3.2))),
    ],
    ids=lambda value: None if callable(value) else str(value),
)
def test_geometric_operations_equal_pillows_inside_the_image(strengths, reference):
    images = pictures()
    within = by_pillow(np.full((1, 32, 32), 255, np.uint8), reference)[0] == 255
    # Pillow treats the outermost half pixel differently.
    within &= by_pillow(np.pad(np.full((1, 30, 30), 255, np.uint8), ((0, 0), (1, 1), (1, 1))), reference)[0] == 255

    assert within.sum() > 400
    assert_alike(augmented(images, strengths)[:, within], by_pillow(images, reference)[:, within], 1)


def test_geometric_operations_reflect_at_the_borders():
    image = pictures()[3:4]

    moved = augmented(image, {"translate_x": 0.25})

    np.testing.assert_array_equal(moved, np.pad(image, ((0, 0), (0, 0), (0, 8), (0, 0)), mode="reflect")[:, :, 8:])


def test_geometric_operations_follow_the_order_of_rounds():
    image = pictures()[:1]

    moved = augmented(image, {"translate_y": 0.25}, {"rotate": math.pi / 2})

    up = np.pad(image[0], ((0, 8), (0, 0), (0, 0)), mode="reflect")[8:]
    np.testing.assert_array_equal(moved[0], np.rot90(up))


def test_colour_operations_follow_the_order_of_rounds():
    images = pictures()
    rounds = {"solarize": 128.0}, {"brightness": -0.5}

    for order in (rounds, rounds[::-1]):
        np.testing.assert_array_equal(augmented(images, *order), augmented(augmented(images, order[0]), order[1]))
    assert (augmented(images, *rounds) != augmented(images, *rounds[::-1])).any()


def test_images_of_a_batch_do_not_affect_each_other():
    names = list(MAX_STRENGTH)
    image = pictures()[4:5]
    each_its_own = {name: np.eye(len(names))[k] * MAX_STRENGTH[name] for k, name in enumerate(names)}

    together = augmented(np.repeat(image, len(names), axis=0), each_its_own)

    for k, name in enumerate(names):
        np.testing.assert_array_equal(together[k], augmented(image, {name: MAX_STRENGTH[name]})[0], err_msg=name)


def test_one_operation_per_image_is_drawn_uniformly():
    choice, sign = tf.random.stateless_uniform((2, 14_000), SEED)

    strengths = sample_strengths(choice, sign, 0.5)

    assert list(strengths) == list(MAX_STRENGTH) and len(MAX_STRENGTH) == 14
    counts = {name: np.count_nonzero(strength) for name, strength in strengths.items()}
    assert counts.pop("identity") == 0
    assert all(850 < count < 1150 for count in counts.values()), counts
    assert max(sum(strength.numpy() != 0 for strength in strengths.values())) == 1


@pytest.mark.parametrize("magnitude", [0.25, 1.0])
def test_strengths_are_the_magnitudes_share_of_the_maximum_with_random_signs(magnitude):
    choice, sign = tf.random.stateless_uniform((2, 14_000), SEED)

    for name, strength in sample_strengths(choice, sign, magnitude).items():
        drawn = strength.numpy()[strength.numpy() != 0]
        np.testing.assert_allclose(np.abs(drawn), magnitude * MAX_STRENGTH[name], rtol=1e-6)
        assert name == "identity" or (drawn < 0).mean() == pytest.approx(0 if name in UNSIGNED else 0.5, abs=0.07)


def test_zero_magnitude_or_no_operations_change_nothing():
    images = np.tile(pictures(), (10, 1, 1, 1))

    np.testing.assert_array_equal(randaugment(images, SEED, 3, 0.0), images)
    np.testing.assert_array_equal(randaugment(images, SEED, 0, 1.0), images)


def test_more_operations_change_more_images():
    images = np.tile(pictures()[3:], (100, 1, 1, 1))

    left = [(randaugment(images, SEED, ops, 1.0).numpy() == images).all((1, 2, 3)).mean() for ops in (1, 2)]

    assert 0.03 < left[0] < 0.2, "one in fourteen is the identity, and some others have no effect"
    assert left[1] < left[0] / 2
