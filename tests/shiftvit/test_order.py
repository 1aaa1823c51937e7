"""The order of the records: all shuffled, or balanced by class."""

import dataclasses
from collections import Counter

import numpy as np
import pytest
import tensorflow as tf
from known_data import CIFAR10

from shiftvit import input_pipeline
from shiftvit.config import DataConfig
from shiftvit.features import encode
from shiftvit.input_pipeline import training_batches
from shiftvit.order import balanced, shuffled

# Three of four classes have records. A round has three times 50 places.
LABELS = np.random.default_rng(0).permutation([0] * 50 + [2] * 7 + [3] * 1)
BALANCED = DataConfig(crop_padding=0, flip=False, balance=True)


def positions(start, end):
    return tf.range(start, end, dtype=tf.int64)


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Two files with records of LABELS; the first pixel of an image is the number of its record."""
    folder = tmp_path_factory.mktemp("records")
    for part in np.array_split(np.arange(len(LABELS)), 2):
        with tf.io.TFRecordWriter(f"{folder}/{part[0]:05}") as writer:
            for number in part:
                writer.write(encode(np.full((32, 32, 3), number, np.uint8), int(LABELS[number])))
    return [f"{folder}/*"]


def drawn(files, count, config=BALANCED, **options):
    """Returns the numbers of the records in some batches of 10, (count, 10), and checks their labels."""
    batches = training_batches(files, CIFAR10, 10, config, **{"seed": 0} | options).take(count)
    numbers = []
    for images, labels in batches.as_numpy_iterator():
        numbers.append(images[:, 0, 0, 0].astype(int))
        np.testing.assert_array_equal(labels, LABELS[numbers[-1]])
    return np.array(numbers)


def test_the_shuffled_order_of_a_seed_never_changes():
    """A training that was started by earlier code resumes in the same order."""
    order = shuffled(256, seed=7)

    assert order(positions(0, 6)).numpy().tolist() == [229, 226, 125, 249, 156, 127]
    assert order(positions(254, 258)).numpy().tolist() == [72, 94, 235, 249]


def test_every_class_comes_equally_often_in_a_round():
    numbers = balanced(LABELS, seed=0)(positions(0, 300)).numpy().reshape(2, 150)

    for each in numbers:
        assert Counter(LABELS[each].tolist()) == {0: 50, 2: 50, 3: 50}
    assert (numbers[0] != numbers[1]).any()
    assert (numbers.ravel() != balanced(LABELS, seed=1)(positions(0, 300)).numpy()).any()


def test_every_record_of_a_class_comes_equally_often():
    """In seven rounds, each of the seven records of class 2 is drawn 50 times; after one, none is far behind."""
    numbers = balanced(LABELS, seed=0)(positions(0, 7 * 150)).numpy()
    rare = np.flatnonzero(LABELS == 2)

    assert [np.sum(numbers == number) for number in rare] == [50] * 7
    assert {np.sum(numbers[:150] == number) for number in rare} == {7, 8}
    assert [np.sum(numbers == number) for number in np.flatnonzero(LABELS == 0)] == [7] * 50


def test_rounds_are_shuffled_throughout():
    classes = LABELS[balanced(LABELS, seed=0)(positions(0, 1500)).numpy()]

    places = [np.flatnonzero(each == 3) for each in classes.reshape(10, 150)]
    assert np.mean([place.mean() for place in places]) == pytest.approx(149 / 2, rel=0.1)
    assert len({tuple(place) for place in places}) == 10


@pytest.mark.parametrize(
    ("config", "order"),
    [(BALANCED, balanced(LABELS, seed=0)), (dataclasses.replace(BALANCED, balance=False), shuffled(len(LABELS), 0))],
    ids=["balanced", "shuffled"],
)
def test_batches_follow_the_order_from_its_start(files, config, order):
    np.testing.assert_array_equal(drawn(files, 9, config).ravel(), order(positions(0, 90)))


@pytest.mark.parametrize("start", [0, 11])
def test_streamed_batches_are_those_from_memory_and_resume(files, start, monkeypatch):
    full = drawn(files, start + 20)[start:]
    in_memory = drawn(files, 20, start=start)
    monkeypatch.setattr(input_pipeline, "_batches_at_once", lambda *_: 1)  # streams although the images fit in memory
    monkeypatch.setattr(input_pipeline, "_loaded", None)
    streamed = drawn(files, 20, start=start)

    np.testing.assert_array_equal(in_memory, full)
    np.testing.assert_array_equal(streamed, full)


def test_workers_share_each_batch(files):
    contexts = [tf.distribute.InputContext(2, worker, 2) for worker in range(2)]
    parts = [drawn(files, 30, context=context) for context in contexts]

    together = np.concatenate(parts, axis=1)
    np.testing.assert_array_equal(np.sort(together), np.sort(drawn(files, 30)))
