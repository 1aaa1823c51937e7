import numpy as np
import pytest
from known_data import NUM_CLASSES

from shiftvit.mixing import MIXUP_ALPHA, beta_quantile, erase, mix, rectangle_masks

SEED = (3, 7)
GREY = 25  # difference of the grey levels of consecutive classes


def plain(count, side=16):
    """Uniform images whose grey level encodes their class, and the classes: 0, 1, ... 9, 0, 1, ..."""
    labels = np.arange(count) % NUM_CLASSES
    return np.broadcast_to((labels * GREY).astype(np.uint8)[:, None, None, None], (count, side, side, 3)), labels


def mixed(count, seed=SEED, **probabilities):
    images, targets = mix(
        *plain(count), seed, **{"mixup": 0.0, "cutmix": 0.0, **probabilities}, num_classes=NUM_CLASSES
    )
    return images.numpy(), targets.numpy()


def partners(targets):
    """Returns the class that is mixed into each image, or -1."""
    others = targets.copy()
    others[np.arange(len(targets)), np.arange(len(targets)) % NUM_CLASSES] = 0
    return np.where(others.any(axis=1), others.argmax(axis=1), -1)


def test_targets_are_shares_of_at_most_two_classes():
    images, targets = mixed(500, mixup=0.5, cutmix=0.5)

    assert images.shape == (500, 16, 16, 3) and images.dtype == np.uint8
    assert targets.shape == (500, NUM_CLASSES) and targets.dtype == np.float32
    assert targets.min() >= 0 and np.count_nonzero(targets, axis=1).max() == 2
    np.testing.assert_allclose(targets.sum(axis=1), 1, rtol=1e-6)


def test_nothing_changes_with_probability_0():
    images, targets = mixed(20)

    np.testing.assert_array_equal(images, plain(20)[0])
    np.testing.assert_array_equal(targets, np.eye(NUM_CLASSES)[plain(20)[1]])


def test_a_blend_has_the_weights_of_its_target():
    images, targets = mixed(500, mixup=1.0)

    expected = targets @ (np.arange(NUM_CLASSES) * GREY)
    np.testing.assert_allclose(images, np.tile(expected[:, None, None, None], (16, 16, 3)), atol=0.51)


def test_blend_weights_follow_the_beta_distribution():
    _, targets = mixed(5000, mixup=1.0)

    own = targets[np.arange(5000), np.arange(5000) % 10][partners(targets) >= 0]
    expected = np.random.default_rng(0).beta(MIXUP_ALPHA, MIXUP_ALPHA, 100_000)
    parts = np.linspace(0.05, 0.95, 19)
    np.testing.assert_allclose(np.quantile(own, parts), np.quantile(expected, parts), atol=0.035)


def test_beta_quantiles_are_accurate():
    drawn = np.random.default_rng(0).beta(MIXUP_ALPHA, MIXUP_ALPHA, 1_000_000)
    parts = np.linspace(0, 1, 201, dtype=np.float32)

    np.testing.assert_allclose(beta_quantile(parts), np.quantile(drawn, parts), atol=3e-3)


def test_targets_of_pasted_rectangles_are_shares_of_pixels():
    images, targets = mixed(500, cutmix=1.0)

    classes = images[..., 0] // GREY
    assert (images == classes[..., None] * GREY).all(), "a pixel that belongs to neither image"
    counted = (classes[..., None] == np.arange(NUM_CLASSES)).mean(axis=(1, 2))
    np.testing.assert_allclose(targets, counted, atol=1e-6)


def test_one_rectangle_of_any_area_is_pasted_at_its_own_position():
    images = np.random.default_rng(0).integers(0, 256, (600, 16, 16, 3), np.uint8)
    own, targets = mix(images, plain(600)[1], SEED, 0.0, 1.0, NUM_CLASSES)

    changed = (own.numpy() != images).any(axis=-1)
    rectangle = changed.any(axis=2)[:, :, None] & changed.any(axis=1)[:, None, :]
    assert (changed != rectangle).mean() < 1e-3, "by chance, two images have the same pixel"
    offset = next(k for k in range(1, 600) if (own == np.roll(images, -k, axis=0)).numpy()[changed].all())
    assert offset
    assert changed.mean(axis=0).min() > 0.1, "every pixel may be pasted"
    area = changed.mean(axis=(1, 2))
    assert area.max() > 0.8 and area.min() < 0.03 and 0.25 < area.mean() < 0.45
    assert targets.shape == (600, NUM_CLASSES)


def test_the_offset_of_partners_is_the_same_within_a_batch_and_depends_on_the_seed():
    offsets = set()
    for seed in range(40):
        found = partners(mixed(10, (seed, 0), mixup=0.5, cutmix=0.5)[1])
        distances = {(other - k) % 10 for k, other in enumerate(found) if other >= 0}
        assert len(distances) == 1, "the same for all"
        offsets |= distances

    assert offsets == set(range(1, 10))


def test_images_are_mixed_with_the_given_probabilities_and_in_one_way_only():
    images, _ = mixed(5000, mixup=0.3, cutmix=0.2)
    images = images[..., 0].reshape(5000, -1)

    levels = np.array([len(set(image)) for image in images])
    own = plain(5000)[0][:, 0, 0, 0]
    blended = (levels == 1) & (images[:, 0] != own)
    assert (levels <= 2).all()
    assert (levels == 2).mean() == pytest.approx(0.2, abs=0.04)
    assert blended.mean() == pytest.approx(0.3, abs=0.04)


def test_a_batch_of_one_does_not_change():
    images, targets = mixed(1, mixup=0.5, cutmix=0.5)

    np.testing.assert_array_equal(images, plain(1)[0])
    np.testing.assert_allclose(targets, np.eye(NUM_CLASSES)[:1], rtol=1e-6)


def erased(count, probability=1.0, side=32):
    """Erases in black images; returns them, and which rows and columns have noise, bool (N, side) each."""
    images = erase(np.zeros((count, side, side, 3), np.uint8), SEED, probability).numpy()
    return images, (images > 0).any(axis=(2, 3)), (images > 0).any(axis=(1, 3))


def test_erased_rectangles_have_the_papers_areas_and_aspect_ratios():
    images, rows, columns = erased(2000)

    filled = images.any(axis=-1)
    assert (filled == rows[:, :, None] & columns[:, None, :]).mean() > 0.999
    tall, wide = rows.sum(axis=1), columns.sum(axis=1)
    area = tall * wide / 32**2
    assert 0.01 < area.min() < 0.03 and 0.31 < area.max() < 0.36 and area.mean() == pytest.approx(0.177, abs=0.01)
    large = area > 0.1
    aspect = np.log(tall / wide)[large]
    assert aspect.min() > np.log(0.25) and aspect.max() < np.log(4) and abs(aspect.mean()) < 0.05
    assert aspect.std() == pytest.approx(np.log(11) / np.sqrt(12), abs=0.06), "its logarithm is uniform"


def test_erasing_reaches_every_pixel_and_all_borders_equally_often():
    reached = erased(10_000)[0].any(axis=-1).mean(axis=0)

    assert reached.min() > 0
    borders = [line.mean() for line in (reached[0], reached[-1], reached[:, 0], reached[:, -1])]
    assert max(borders) < 1.2 * min(borders)


def test_erasing_noise_is_uniform_and_independent():
    images, rows, columns = erased(300)
    noise = images[rows[:, :, None] & columns[:, None, :]].astype(float)

    assert noise.mean() == pytest.approx(127.5, abs=1) and noise.std() == pytest.approx(73.9, abs=1)
    assert len(np.unique(noise)) == 256
    assert np.abs(np.corrcoef(noise.T) - np.eye(3)).max() < 0.02
    both = (images[0] > 0) & (images[1:] > 0)
    assert (images[1:] == images[0])[both].mean() < 0.02


def test_erasing_has_the_given_probability():
    images = np.random.default_rng(0).integers(0, 256, (2000, 8, 8, 3), np.uint8)

    changed = (erase(images, SEED, 0.25).numpy() != images).any(axis=-1)

    assert changed.any(axis=(1, 2)).mean() == pytest.approx(0.25, abs=0.04)
    assert changed.mean() < 0.25 / 3
    np.testing.assert_array_equal(erase(images, SEED, 0.0), images)


def test_rectangle_masks_cover_pixel_centres_and_are_clipped():
    one, cut = rectangle_masks(
        np.array([2.0, 0.0]), np.array([3.0, 4.0]), np.array([2.0, 4.0]), np.array([4.0, 2.0]), 4, 5
    )

    np.testing.assert_array_equal(one, np.outer([0, 1, 1, 0], [0, 1, 1, 1, 1]))
    np.testing.assert_array_equal(cut, np.outer([1, 1, 0, 0], [0, 0, 0, 1, 1]))
