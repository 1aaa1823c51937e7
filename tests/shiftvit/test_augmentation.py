from dataclasses import replace

import numpy as np
import pytest
import tensorflow as tf
from known_data import NUM_CLASSES

from pipeline.sources import shapes
from shiftvit.augmentation import augment
from shiftvit.config import DataConfig
from shiftvit.strategy import make_strategy

SEED = (3, 7)
OFF = DataConfig(crop_padding=0, flip=False)
EVERYTHING = DataConfig(
    crop_padding=4, flip=True, randaugment_ops=2, randaugment_magnitude=0.7, mixup=0.4, cutmix=0.4, erasing=0.5
)
OPERATIONS = {
    "crop": replace(OFF, crop_padding=4),
    "flip": replace(OFF, flip=True),
    "randaugment": replace(OFF, randaugment_ops=2),
    "mixup": replace(OFF, mixup=0.5),
    "cutmix": replace(OFF, cutmix=0.5),
    "erasing": replace(OFF, erasing=0.5),
    "everything": EVERYTHING,
}


@pytest.fixture(scope="module")
def batch():
    images, labels = shapes.draw(24, 0, "train")
    return images, labels.astype(np.int64)


def in_a_graph(batch, config, **options):
    @tf.function(
        input_signature=[
            tf.TensorSpec((None, 32, 32, 3), tf.uint8),
            tf.TensorSpec((None,), tf.int64),
            tf.TensorSpec((2,), tf.int64),
        ],
        **options,
    )
    def step(images, labels, seed):
        return augment(images, labels, seed, config, NUM_CLASSES)

    return step(*batch, SEED)


def compiled_by_xla(batch, config):
    return in_a_graph(batch, config, jit_compile=True)


def in_tf_data(batch, config):
    return next(iter(tf.data.Dataset.from_tensors(batch).map(lambda *each: augment(*each, SEED, config, NUM_CLASSES))))


def under_a_strategy(batch, config):
    return tf.function(lambda: make_strategy().run(lambda: augment(*batch, SEED, config, NUM_CLASSES)))()


@pytest.mark.parametrize(
    "operation, mode",
    [
        *((operation, mode) for operation in OPERATIONS for mode in (in_tf_data, compiled_by_xla)),
        *(("everything", mode) for mode in (in_a_graph, under_a_strategy)),
    ],
)
def test_result_is_the_same_in_every_execution_mode(batch, operation, mode):
    images, targets = augment(*batch, SEED, OPERATIONS[operation], NUM_CLASSES)
    other_images, other_targets = mode(batch, OPERATIONS[operation])

    difference = np.abs(images.numpy().astype(int) - other_images.numpy())
    assert difference.max() <= 1 and (difference > 0).mean() < 1e-3, "beyond rounding"
    np.testing.assert_allclose(other_targets, targets, atol=3e-5)


@pytest.mark.parametrize("operation", OPERATIONS)
def test_result_depends_on_the_seed_only(batch, operation):
    first, again, other = (augment(*batch, seed, OPERATIONS[operation], NUM_CLASSES) for seed in (SEED, SEED, (3, 8)))

    for ours, same in zip(first, again, strict=True):
        np.testing.assert_array_equal(ours, same)
    assert (first[0] != other[0]).numpy().any()


@pytest.mark.parametrize("operation", OPERATIONS)
def test_images_and_targets_have_the_documented_types(batch, operation):
    images, targets = augment(*batch, SEED, OPERATIONS[operation], NUM_CLASSES)

    assert images.shape == (24, 32, 32, 3) and images.dtype == tf.uint8
    if operation in ("mixup", "cutmix", "everything"):
        assert targets.shape == (24, NUM_CLASSES) and targets.dtype == tf.float32
        np.testing.assert_allclose(tf.reduce_sum(targets, axis=1), 1, rtol=1e-6)
    else:
        assert targets is batch[1], "the labels themselves"


def test_everything_off_changes_nothing(batch):
    images, labels = augment(*batch, SEED, OFF, NUM_CLASSES)

    np.testing.assert_array_equal(images, batch[0])
    np.testing.assert_array_equal(labels, batch[1])


def test_an_image_depends_on_no_image_but_its_mixing_partner(batch):
    images, labels = batch
    before, _ = augment(images, labels, SEED, EVERYTHING, NUM_CLASSES)
    offsets = set()

    for k in range(0, 24, 3):
        others = images.copy()
        others[k] = 255 - others[k]
        after, _ = augment(others, labels, SEED, EVERYTHING, NUM_CLASSES)
        changed = set(np.flatnonzero((before != after).numpy().any(axis=(1, 2, 3))))
        assert changed <= {(k - distance) % 24 for distance in (0, *(offsets or range(1, 24)))}
        offsets |= {(k - place) % 24 for place in changed} - {0}

    assert len(offsets) == 1


def test_operations_do_not_affect_each_others_random_numbers(batch):
    cropped, _ = augment(*batch, SEED, DataConfig(), NUM_CLASSES)
    also_erased, _ = augment(*batch, SEED, DataConfig(erasing=0.5), NUM_CLASSES)
    _, shares = augment(*batch, SEED, DataConfig(cutmix=0.5), NUM_CLASSES)
    _, also_randaugmented = augment(*batch, SEED, DataConfig(cutmix=0.5, randaugment_ops=1), NUM_CLASSES)

    assert 0.7 < (cropped == also_erased).numpy().mean() < 1
    np.testing.assert_array_equal(shares, also_randaugmented)


def test_operations_draw_independent_random_numbers():
    rows = np.broadcast_to(np.arange(32, dtype=np.uint8)[:, None, None], (400, 32, 32, 3))
    labels = np.arange(400) % NUM_CLASSES

    offsets = augment(rows, labels, SEED, DataConfig(flip=False), NUM_CLASSES)[0].numpy()[:, 16, 0, 0].astype(int) - 16
    shares = augment(rows, labels, SEED, DataConfig(flip=False, mixup=0.5), NUM_CLASSES)[1].numpy()
    mixed = np.count_nonzero(shares, axis=1) == 2
    erased = (
        (augment(rows, labels, SEED, replace(OFF, erasing=0.5), NUM_CLASSES)[0] != rows).numpy().any(axis=(1, 2, 3))
    )

    assert set(offsets) == set(range(-4, 5)) and 0.3 < mixed.mean() < 0.7 and 0.3 < erased.mean() < 0.7
    assert np.abs(np.corrcoef([offsets, mixed, erased]) - np.eye(3)).max() < 0.15
