"""A task that needs the shift: in which direction was one colour moved relative to another?"""

import numpy as np
import tensorflow as tf

from shiftvit import layers
from shiftvit.config import ModelConfig
from shiftvit.model import build_network

SIDE, PATCH, DISTANCE = 8, 2, 2  # side in patches, patch size in pixels, distance of the move in patches
DIRECTIONS = np.array([(0, -1), (0, 1), (-1, 0), (1, 0)])
BATCH, STEPS = 32, 200


def draw(count, seed):
    """Returns images of random dots in red and the same dots, moved, in green; and the directions of the moves.

    The moves wrap around, so within a patch the two colours are independent whatever the class: a network that sees
    each patch alone, and averages, cannot distinguish the classes.
    """
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, len(DIRECTIONS), count)
    dots = rng.random((count, SIDE, SIDE)) < 0.1
    moved = [np.roll(each, DISTANCE * by, axis=(0, 1)) for each, by in zip(dots, DIRECTIONS[labels], strict=True)]
    images = np.stack([dots, moved, np.zeros_like(dots)], axis=-1).astype(np.float32)
    return images.repeat(PATCH, axis=1).repeat(PATCH, axis=2), labels


def trained_accuracy(shift_pixels=1):
    tf.keras.utils.set_random_seed(0)
    config = ModelConfig(
        image_size=SIDE * PATCH,
        patch_size=PATCH,
        dims=(32,),
        depths=(2,),
        n_div=4,
        shift_pixels=shift_pixels,
        drop_path=0.0,
        num_classes=len(DIRECTIONS),
    )
    network = build_network(config)
    loss = tf.keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    network.compile(tf.keras.optimizers.Adam(0.01), loss, metrics=["accuracy"])
    network.fit(*draw(BATCH * STEPS, seed=0), batch_size=BATCH, verbose=0)
    return network.evaluate(*draw(1000, seed=1), batch_size=250, verbose=0, return_dict=True)["accuracy"]


class CropAndPad(layers.Shift):
    """The shift of the Keras example: crops a row or column and pads it again on the same side, so nothing moves."""

    def call(self, x):
        _, height, width, channels = x.shape
        group, pieces = channels // self.n_div, []
        for index, (row, column) in enumerate(layers.DIRECTIONS):
            piece = x[..., index * group : (index + 1) * group]
            corner, kept = (max(row, 0), max(column, 0)), (height - abs(row), width - abs(column))
            cropped = tf.image.crop_to_bounding_box(piece, *corner, *kept)
            pieces.append(tf.image.pad_to_bounding_box(cropped, *corner, height, width))
        return tf.concat([*pieces, x[..., len(pieces) * group :]], axis=-1)


def test_the_network_learns_the_direction():
    assert trained_accuracy() >= 0.95


def test_without_shift_accuracy_stays_at_chance():
    assert trained_accuracy(shift_pixels=0) < 0.35  # of four classes


def test_with_the_keras_examples_shift_accuracy_stays_at_chance(monkeypatch):
    monkeypatch.setattr(layers, "Shift", CropAndPad)

    assert trained_accuracy() < 0.35
