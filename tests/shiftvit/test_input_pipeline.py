import numpy as np
import pytest
import tensorflow as tf

from pipeline import shapes
from shiftvit.config import DataConfig
from shiftvit.features import encode
from shiftvit.input_pipeline import count_records, evaluation_batches, training_batches

AS_STORED = DataConfig(crop_padding=0, flip=False)


@pytest.fixture(scope="module")
def train_files(drawn_examples):
    return [f"{drawn_examples}/Split-train/*"]


def drawn(count, split):
    images, labels = shapes.draw(count, 0, split)
    return images, labels.astype(np.int64)


def keys(images, labels):
    return sorted(image.tobytes() + bytes([label]) for image, label in zip(images, labels, strict=True))


def take(dataset, count):
    batches = list(dataset.take(count).as_numpy_iterator())
    return [np.concatenate(parts) for parts in zip(*batches, strict=True)]


def test_records_of_all_files_of_all_patterns_are_counted(drawn_examples, train_files):
    assert count_records(train_files) == 256
    assert count_records([*train_files, f"{drawn_examples}/Split-eval/*"]) == 306


def test_training_sees_every_record_once_an_epoch_with_its_own_label(train_files):
    seen = take(training_batches(train_files, 64, AS_STORED, seed=0), 4)

    assert keys(*seen) == keys(*drawn(256, "train"))


def test_training_batches_are_full_shuffled_and_endless(train_files):
    dataset = training_batches(train_files, 100, AS_STORED, seed=0).take(8)
    batches = [labels for _, labels in dataset.as_numpy_iterator()]

    assert [len(labels) for labels in batches] == [100] * 8
    first, second = np.concatenate(batches)[:512].reshape(2, 256)
    assert (first != drawn(256, "train")[1]).any(), "the order of the files"
    assert (first != second).any(), "the same order each epoch"


def test_training_data_is_decided_by_the_seed(train_files):
    first, again, other = (take(training_batches(train_files, 64, DataConfig(), seed), 2)[0] for seed in (1, 1, 2))

    np.testing.assert_array_equal(first, again)
    assert (first != other).any()


def test_each_batch_is_augmented_in_its_own_way(tmp_path):
    image, label = drawn(1, "train")
    with tf.io.TFRecordWriter(str(tmp_path / "one")) as writer:
        writer.write(encode(image[0], int(label[0])))

    images, _ = take(training_batches([str(tmp_path / "one")], 1, DataConfig(), seed=0), 12)

    assert len({moved.tobytes() for moved in images}) > 6


def test_evaluation_gives_every_record_once_as_it_is_stored_in_order(drawn_examples):
    batches = evaluation_batches([f"{drawn_examples}/Split-eval/*"], 16)
    images, labels = take(batches, -1)

    np.testing.assert_array_equal(images, drawn(50, "eval")[0])
    np.testing.assert_array_equal(labels, drawn(50, "eval")[1])
    assert [len(batch[1]) for batch in batches.as_numpy_iterator()] == [16, 16, 16, 2]
