"""A task that only a network that moves pixels can solve: which way the second dot lies from the first."""

import numpy as np
import tensorflow as tf

from shiftvit import layers
from shiftvit.config import ModelConfig
from shiftvit.model import build_network

SIZE, PATCH, DISTANCE = 16, 2, 4  # pixels: the dots are two patches apart
DIRECTIONS = np.array([(0, -1), (0, 1), (-1, 0), (1, 0)])
BATCH, STEPS = 64, 200


def draw(count, seed):
    """Returns images, each with a dot of the first colour and one of the second, and in which direction that one lies.

    Anywhere but in the patches of the border, and both at the same place in a patch: a network that sees each patch
    alone, and then their mean, finds the same in every class.
    """
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, len(DIRECTIONS), count)
    first = rng.integers(PATCH + DISTANCE, SIZE - PATCH - DISTANCE, (count, 2))
    second = first + DISTANCE * DIRECTIONS[labels]
    images, every = np.zeros((count, SIZE, SIZE, 3), np.float32), np.arange(count)
    images[every, first[:, 0], first[:, 1], 0] = 1
    images[every, second[:, 0], second[:, 1], 1] = 1
    return images, labels


def accuracy_learnt(shift_pixels=1):
    tf.keras.utils.set_random_seed(0)
    config = ModelConfig(
        image_size=SIZE,
        patch_size=PATCH,
        dims=(32,),
        depths=(3,),
        n_div=4,
        shift_pixels=shift_pixels,
        drop_path=0.0,
        num_classes=len(DIRECTIONS),
    )
    network = build_network(config)
    loss = tf.keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    network.compile(tf.keras.optimizers.Adam(5e-3), loss, metrics=["accuracy"])
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


def test_the_network_learns_where_one_dot_lies_from_another():
    assert accuracy_learnt() >= 0.95


def test_without_a_move_it_stays_at_chance():
    assert accuracy_learnt(shift_pixels=0) < 0.35  # of four classes


def test_with_the_shift_of_the_example_it_stays_at_chance(monkeypatch):
    monkeypatch.setattr(layers, "Shift", CropAndPad)

    assert accuracy_learnt() < 0.35
