import numpy as np
import pytest
from scipy import ndimage
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from sklearn.preprocessing import StandardScaler

from pipeline.config.settings import ShapesConfig
from pipeline.sources import shapes

DIRECTIONS = {(1, 0): 0, (1, -1): 1, (0, -1): 2, (-1, -1): 3, (-1, 0): 4, (-1, 1): 5, (0, 1): 6, (1, 1): 7}


def test_classes_are_balanced_and_images_have_the_shape_of_cifar10():
    images, labels = shapes.draw(1003, 0, "train")
    assert images.shape == (1003, 32, 32, 3) and images.dtype == np.uint8
    assert sorted(np.bincount(labels)) == [100] * 7 + [101] * 3
    assert len(shapes.CLASS_NAMES) == len(set(shapes.CLASS_NAMES)) == 10


def test_seed_and_split_determine_the_images():
    images, labels = shapes.draw(50, 3, "train")
    again, same = shapes.draw(50, 3, "train")
    assert np.array_equal(images, again) and np.array_equal(labels, same)
    for seed, split in ((4, "train"), (3, "eval"), (3, "test")):
        assert not np.array_equal(images, shapes.draw(50, seed, split)[0])


def test_fingerprint_changes_with_the_settings():
    assert shapes.fingerprint(ShapesConfig()) == shapes.fingerprint(ShapesConfig())
    others = [ShapesConfig(seed=1), ShapesConfig(train=100), ShapesConfig(test=100)]
    assert len({shapes.fingerprint(config) for config in (ShapesConfig(), *others)}) == 4


def parts(image):
    """Returns the centres, (x, y), of disc and ring, detected in the image; the ring is the one with a hole."""
    differs = np.abs(image.astype(int) - np.median(image, axis=(0, 1))).sum(axis=-1) > 180
    blobs, count = ndimage.label(differs, np.ones((3, 3)))
    assert count == 2
    centres = [np.array(centre)[::-1] for centre in ndimage.center_of_mass(differs, blobs, (1, 2))]
    filled = [differs[tuple(np.round(centre[::-1]).astype(int))] for centre in centres]
    assert sorted(filled) == [False, True]
    return (centres[0], centres[1]) if filled[0] else (centres[1], centres[0])


def test_a_class_name_describes_where_the_ring_is():
    images, labels = shapes.draw(300, 1, "test")
    for image, label in zip(images, labels, strict=True):
        disc, ring = parts(image)
        x, y = ring - disc
        if np.hypot(x, y) > 15.5:
            expected = 8 if abs(x) > abs(y) else 9
        else:
            expected = DIRECTIONS[tuple(int(np.sign(d)) if abs(d) > 5 else 0 for d in (x, y))]
        assert label == expected, shapes.CLASS_NAMES[label]


def sorted_pixels(images):
    return np.sort(images.reshape(len(images), -1, 3), axis=1)[:, ::16].reshape(len(images), -1)


def colour_histograms(images):
    return np.stack([np.histogramdd(image.reshape(-1, 3), 5, [(0, 256)] * 3)[0].ravel() for image in images])


def bags_of_patches(images):
    """Returns statistics of the contents of 4 x 4 patches, independent of their positions."""
    patches = images.reshape(-1, 8, 4, 8, 4, 3).mean(-1).transpose(0, 1, 3, 2, 4).reshape(len(images), 64, 16)
    patches = np.abs(patches - np.median(patches, axis=(1, 2), keepdims=True)) / 64
    pairs = np.einsum("npi,npj->nij", patches, patches).reshape(len(images), -1)
    return np.concatenate([patches.mean(1), patches.std(1), np.sort(patches.std(2), axis=1), pairs], axis=1)


@pytest.mark.parametrize("describe", [sorted_pixels, colour_histograms, bags_of_patches])
def test_a_classifier_that_ignores_positions_stays_near_chance(describe):
    (train, labels), (test, truth) = shapes.draw(3000, 0, "train"), shapes.draw(1000, 0, "test")
    scaler = StandardScaler().fit(describe(train))
    train_features, test_features = scaler.transform(describe(train)), scaler.transform(describe(test))
    for classifier in (KNeighborsClassifier(10), LogisticRegression(C=0.1, max_iter=500)):
        assert classifier.fit(train_features, labels).score(test_features, truth) < 0.25
