"""A task that only a network that moves pixels can solve: which way one colour was moved against the other."""

import numpy as np
import tensorflow as tf

from shiftvit import layers
from shiftvit.config import ModelConfig
from shiftvit.model import build_network

SIDE, PATCH, DISTANCE = 8, 2, 2  # the side in patches, a patch in pixels, and how many patches the dots were moved
DIRECTIONS = np.array([(0, -1), (0, 1), (-1, 0), (1, 0)])
BATCH, STEPS = 32, 200


def draw(count, seed):
    """Returns images of random dots in one colour, the same dots moved in another, and in which direction they were.

    What leaves at one side enters at the other, so within a patch the two colours are independent in every class: a
    network that sees each patch alone, and then their mean, cannot tell the classes apart.
    """
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, len(DIRECTIONS), count)
    dots = rng.random((count, SIDE, SIDE)) < 0.1
    moved = [np.roll(each, DISTANCE * by, axis=(0, 1)) for each, by in zip(dots, DIRECTIONS[labels], strict=True)]
    images = np.stack([dots, moved, np.zeros_like(dots)], axis=-1).astype(np.float32)
    return images.repeat(PATCH, axis=1).repeat(PATCH, axis=2), labels


def accuracy_learnt(shift_pixels=1):
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
    """The shift of the Keras example: crops a row or column away and pads it again at the same side."""

    def call(self, x):
        _, height, width, channels = x.shape
        group, pieces = channels // self.n_div, []
        for index, (row, column) in enumerate(layers.DIRECTIONS):
            piece = x[..., index * group : (index + 1) * group]
            corner, kept = (max(row, 0), max(column, 0)), (height - abs(row), width - abs(column))
            cropped = tf.image.crop_to_bounding_box(piece, *corner, *kept)
            pieces.append(tf.image.pad_to_bounding_box(cropped, *corner, height, width))
        return tf.concat([*pieces, x[..., len(pieces) * group :]], axis=-1)


def test_the_network_learns_which_way_the_dots_were_moved():
    assert accuracy_learnt() >= 0.95


def test_without_a_move_it_stays_at_chance():
    assert accuracy_learnt(shift_pixels=0) < 0.35  # of four classes


def test_with_the_shift_of_the_example_it_stays_at_chance(monkeypatch):
    monkeypatch.setattr(layers, "Shift", CropAndPad)

    assert accuracy_learnt() < 0.35
