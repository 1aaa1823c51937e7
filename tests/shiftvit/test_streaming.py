"""The same batches whether the images stay in memory or are streamed. 1 MB is too little for the 256 drawn images."""

import dataclasses
import shutil

import numpy as np
import pytest
import tensorflow as tf
import trainings
from known_data import CIFAR10

from shiftvit import input_pipeline, train
from shiftvit.config import DataConfig
from shiftvit.errors import ConfigError, DataError
from shiftvit.features import EVAL, TRAIN, split_folder
from shiftvit.input_pipeline import evaluation_batches, training_batches
from shiftvit.record_files import RecordFiles

AS_STORED = DataConfig(crop_padding=0, flip=False, memory=1)
CONTEXTS = [tf.distribute.InputContext(), tf.distribute.InputContext(1, 0, 2), tf.distribute.InputContext(2, 1, 4)]


@pytest.fixture
def examples(drawn_examples, tmp_path):
    """A copy of the drawn examples, to change."""
    return shutil.copytree(drawn_examples, tmp_path / "examples")


@pytest.fixture(scope="module")
def train_files(drawn_examples):
    return [f"{split_folder(drawn_examples, TRAIN)}/*"]


@pytest.fixture
def reads(monkeypatch):
    """The numbers of the records of each batch that is read, in order; batches are prepared one at a time."""
    numbers, read = [], RecordFiles.read
    monkeypatch.setattr(RecordFiles, "read", lambda self, batch: numbers.append(batch.tolist()) or read(self, batch))
    monkeypatch.setattr("os.cpu_count", lambda: 1)
    return numbers


def take(dataset, count):
    return list(dataset.take(count).as_numpy_iterator())


@pytest.mark.parametrize("start", [0, 5])
@pytest.mark.parametrize("context", CONTEXTS, ids=["a device", "two devices", "two workers"])
def test_streamed_batches_are_those_from_memory(train_files, context, start, monkeypatch):
    options = {"batch_size": 60, "seed": 0, "context": context, "start": start}  # an epoch is no whole number of them
    memory = training_batches(train_files, CIFAR10, config=DataConfig(), **options)
    monkeypatch.setattr(input_pipeline, "_loaded", None)
    streamed = training_batches(train_files, CIFAR10, config=DataConfig(memory=1), **options)

    assert streamed.element_spec == memory.element_spec
    for expected, ours in zip(take(memory, 9), take(streamed, 9), strict=True):
        np.testing.assert_array_equal(ours[0], expected[0])
        np.testing.assert_array_equal(ours[1], expected[1])


def test_an_epoch_reads_every_record_once(train_files, reads):
    take(training_batches(train_files, CIFAR10, 64, AS_STORED, seed=0), 8)

    for epoch in (reads[:4], reads[4:8]):
        assert sorted(np.concatenate(epoch)) == list(range(256))
    assert reads[:4] != reads[4:8]


def test_workers_read_only_their_share_of_balanced_classes(train_files, reads):
    for worker in range(2):
        context = tf.distribute.InputContext(2, worker, 2)
        balanced = dataclasses.replace(AS_STORED, balance=True)
        take(training_batches(train_files, CIFAR10, 64, balanced, seed=0, context=context), 4)
        reads[4 * (worker + 1) :] = []  # what was read ahead

    assert [len(batch) for batch in reads] == [32] * 8


def test_workers_read_only_their_share(train_files, reads):
    for worker in range(2):
        context = tf.distribute.InputContext(2, worker, 2)
        take(training_batches(train_files, CIFAR10, 64, AS_STORED, seed=0, context=context), 4)
        reads[4 * (worker + 1) :] = []  # what was read ahead

    assert sorted(np.concatenate(reads)) == list(range(256))


def test_a_later_start_reads_nothing_before_it(train_files, reads):
    take(training_batches(train_files, CIFAR10, 64, AS_STORED, seed=0), 8)
    full = reads[6:8]
    reads.clear()

    take(training_batches(train_files, CIFAR10, 64, AS_STORED, seed=0, start=6), 2)

    assert reads[:2] == full


def test_no_more_batches_are_read_ahead_than_memory_holds(train_files, reads):
    batches = iter(training_batches(train_files, CIFAR10, 64, AS_STORED, seed=0))

    for taken in range(1, 40):
        next(batches)
        assert len(reads) <= taken + 3  # one prepared, one waiting, and one between the two


@pytest.mark.parametrize(
    ("memory", "cores", "at_once"), [(8, 16, 2), (8, 1, 1), (4, 16, 1), (613, 99, 99), (614, 4, tf.data.AUTOTUNE)]
)
def test_batches_at_once_fit_into_memory(monkeypatch, memory, cores, at_once):
    """A batch of 256 images takes 0.8 MB, and five of them 3.9 MB; 100,000 images take 307.2 MB."""
    monkeypatch.setattr("os.cpu_count", lambda: cores)

    assert input_pipeline._batches_at_once(99_900, 256, CIFAR10.image_bytes, memory) == at_once


def test_too_little_memory_for_a_batch_is_an_error(train_files):
    message = "data.memory=1 is too small to stream batches of 100 images: set at least 2"
    with pytest.raises(ConfigError, match=f"^{message}$"):
        training_batches(train_files, CIFAR10, 100, AS_STORED, seed=0)


@pytest.mark.parametrize("memory", [1, 4000])
def test_evaluation_stays_in_memory_if_it_fits(examples, memory):
    folder = split_folder(examples, TRAIN)
    expected = take(evaluation_batches([f"{folder}/*"], CIFAR10, 60), -1)
    batches = evaluation_batches([f"{folder}/*"], CIFAR10, 60, memory=memory)

    for ours, theirs in zip(take(batches, -1), expected, strict=True):
        np.testing.assert_array_equal(ours[0], theirs[0])
    shutil.rmtree(folder)
    if memory == 1:
        with pytest.raises(tf.errors.NotFoundError):
            take(batches, -1)
    else:
        assert len(take(batches, -1)) == len(expected)


@pytest.mark.parametrize("memory", [1, 4000])
@pytest.mark.parametrize("split", [TRAIN, EVAL])
def test_training_on_a_damaged_record_says_where(examples, tmp_path, split, memory):
    plain = trainings.experiment(epochs=1)
    config = dataclasses.replace(plain, data=dataclasses.replace(plain.data, memory=memory))
    path = f"{split_folder(examples, split)}/data_tfrecord-00001-of-00002"
    with open(path, "r+b") as file:
        file.seek(1000)
        file.write(b"\0\1\2\3")

    with pytest.raises(DataError, match=f"^{path}: the record at byte 0 is damaged: its checksum is wrong; ingest"):
        train.train(
            config,
            [f"{split_folder(examples, TRAIN)}/*"],
            [f"{split_folder(examples, EVAL)}/*"],
            resume_dir=str(tmp_path / "resume"),
        )
