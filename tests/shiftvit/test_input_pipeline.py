import numpy as np
import pytest
import tensorflow as tf
from known_data import CIFAR10

from pipeline.sources import shapes
from shiftvit.config import DataConfig
from shiftvit.features import EVAL, TRAIN, encode, split_folder
from shiftvit.input_pipeline import count_records, evaluation_batches, training_batches

AS_STORED = DataConfig(crop_padding=0, flip=False)


@pytest.fixture(scope="module")
def train_files(drawn_examples):
    return [f"{split_folder(drawn_examples, TRAIN)}/*"]


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
    assert count_records([*train_files, f"{split_folder(drawn_examples, EVAL)}/*"]) == 306


def test_an_epoch_has_every_record_once_with_its_label(train_files):
    seen = take(training_batches(train_files, CIFAR10, 64, AS_STORED, seed=0), 4)

    assert keys(*seen) == keys(*drawn(256, "train"))


def test_training_batches_are_full_shuffled_and_endless(train_files):
    dataset = training_batches(train_files, CIFAR10, 100, AS_STORED, seed=0).take(8)
    batches = [labels for _, labels in dataset.as_numpy_iterator()]

    assert [len(labels) for labels in batches] == [100] * 8
    first, second = np.concatenate(batches)[:512].reshape(2, 256)
    assert (first != drawn(256, "train")[1]).any(), "the order of the files"
    assert (first != second).any(), "the same order each epoch"


@pytest.mark.parametrize("augmented", [True, False])
def test_training_batches_depend_on_the_seed_only(train_files, augmented):
    config = DataConfig(randaugment_ops=1, mixup=0.5, erasing=0.5)
    first, again, other = (
        take(training_batches(train_files, CIFAR10, 64, config, seed, augmented), 10) for seed in (1, 1, 2)
    )

    for ours, same, others in zip(first, again, other, strict=True):
        np.testing.assert_array_equal(ours, same)
        assert (ours != others).any()


@pytest.mark.parametrize("context", [tf.distribute.InputContext(), tf.distribute.InputContext(2, 1, 4)])
def test_a_later_start_continues_the_sequence_of_batches(train_files, context):
    """Even within an epoch, of three and a half batches; a worker with two devices takes two batches a step."""
    config, devices = DataConfig(randaugment_ops=1, mixup=0.5, erasing=0.5), context.num_replicas_in_sync
    full, rest = (
        training_batches(train_files, CIFAR10, 72, config, 0, context=context, start=start) for start in (0, 5)
    )
    skipped = 5 * devices // context.num_input_pipelines

    for expected, ours in zip(take(full.skip(skipped), 4), take(rest, 4), strict=True):
        np.testing.assert_array_equal(ours, expected)


def test_positions_in_an_epoch_are_uniform(train_files):
    places = {drawn: [] for drawn in keys(*drawn(256, "train"))}
    for batch in training_batches(train_files, CIFAR10, 256, AS_STORED, seed=0).take(12).as_numpy_iterator():
        for place, key in enumerate(image.tobytes() + bytes([label]) for image, label in zip(*batch, strict=True)):
            places[key].append(place)

    ranges = [max(seen) - min(seen) for seen in places.values()]
    assert np.mean(ranges) == pytest.approx(256 * 11 / 13, rel=0.05), "as for 12 uniform numbers"


def test_batches_without_augmentation_are_as_stored(train_files):
    everything = DataConfig(randaugment_ops=1, mixup=0.5, cutmix=0.5, erasing=0.5)

    seen = take(training_batches(train_files, CIFAR10, 64, everything, seed=0, augmented=False), 4)

    assert [part.dtype for part in seen] == [np.uint8, np.int64]
    assert keys(*seen) == keys(*drawn(256, "train"))


def test_targets_of_mixed_images_are_shares_of_classes(train_files):
    mixed = training_batches(train_files, CIFAR10, 64, DataConfig(mixup=0.5, cutmix=0.5), seed=0)

    images, targets = take(mixed, 4)
    assert images.shape == (256, 32, 32, 3) and targets.shape == (256, 10)
    assert mixed.element_spec[0].shape == (64, 32, 32, 3), "XLA needs a static shape"
    np.testing.assert_allclose(targets.sum(axis=1), 1, rtol=1e-6)


def test_files_are_read_only_once(tmp_path, train_files):
    for path in tf.io.gfile.glob(train_files[0]):
        tf.io.gfile.copy(path, str(tmp_path / path.rpartition("/")[2]))
    batches = iter(training_batches([f"{tmp_path}/*"], CIFAR10, 64, AS_STORED, seed=0))
    next(batches)

    for path in tmp_path.iterdir():
        path.unlink()

    assert [len(next(batches)[1]) for _ in range(16)] == [64] * 16


def test_augmentation_differs_between_batches(tmp_path):
    image, label = drawn(1, "train")
    with tf.io.TFRecordWriter(str(tmp_path / "one")) as writer:
        writer.write(encode(image[0], int(label[0])))

    images, _ = take(training_batches([str(tmp_path / "one")], CIFAR10, 1, DataConfig(), seed=0), 12)

    assert len({moved.tobytes() for moved in images}) > 6


def test_evaluation_has_every_record_once_as_stored_in_order(drawn_examples):
    batches = evaluation_batches([f"{split_folder(drawn_examples, EVAL)}/*"], CIFAR10, 16)
    images, labels = take(batches, -1)

    np.testing.assert_array_equal(images, drawn(50, "eval")[0])
    np.testing.assert_array_equal(labels, drawn(50, "eval")[1])
    assert [len(batch[1]) for batch in batches.as_numpy_iterator()] == [16, 16, 16, 2]


def contexts(workers, devices):
    return [tf.distribute.InputContext(workers, worker, workers * devices) for worker in range(workers)]


def test_workers_split_each_training_batch(train_files):
    """With 2 workers of 2 devices, each device takes a quarter, and together they have the batch of a single device."""
    full = take(training_batches(train_files, CIFAR10, 64, AS_STORED, seed=0).skip(3), 4)
    parts = [
        training_batches(train_files, CIFAR10, 64, AS_STORED, seed=0, context=context).skip(6)
        for context in contexts(2, 2)
    ]
    batches = [list(part.take(8).as_numpy_iterator()) for part in parts]

    assert {len(labels) for part in batches for _, labels in part} == {16}
    for step in range(4):
        together = [batch for part in batches for batch in part[2 * step : 2 * step + 2]]
        alone = [values[64 * step : 64 * (step + 1)] for values in full]
        assert keys(*map(np.concatenate, zip(*together, strict=True))) == keys(*alone)


def test_augmentation_differs_between_workers(tmp_path):
    image, label = drawn(1, "train")
    with tf.io.TFRecordWriter(str(tmp_path / "one")) as writer:
        writer.write(encode(image[0], int(label[0])))
    noisy = DataConfig(erasing=1.0)
    parts = [
        training_batches([str(tmp_path / "one")], CIFAR10, 3, noisy, seed=0, context=context)
        for context in contexts(3, 1)
    ]

    images = np.concatenate([take(part, 8)[0] for part in parts])

    assert len({moved.tobytes() for moved in images}) == 24


def test_workers_split_the_evaluation(drawn_examples):
    parts = [
        evaluation_batches([f"{split_folder(drawn_examples, EVAL)}/*"], CIFAR10, 16, context)
        for context in contexts(2, 2)
    ]

    assert [[len(labels) for _, labels in part.as_numpy_iterator()] for part in parts] == [[4] * 6 + [1]] * 2
    together = [np.concatenate(values) for values in zip(*(take(part, -1) for part in parts), strict=True)]
    assert keys(*together) == keys(*drawn(50, "eval"))
