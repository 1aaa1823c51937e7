"""Training on images above 64 pixels a side, which are stored as JPEGs, from memory and streamed."""

import dataclasses
import re
import shutil

import large_images
import numpy as np
import pytest
import tensorflow as tf

from shiftvit import features, input_pipeline, train
from shiftvit.config import DataConfig, ExperimentConfig, ModelConfig, TrainConfig
from shiftvit.errors import DataError
from shiftvit.features import EVAL, TRAIN, split_folder
from shiftvit.input_pipeline import evaluation_batches, training_batches

DATA = large_images.dataset(size=99, classes=300)
AS_STORED = DataConfig(crop_padding=0, flip=False)
STREAMED = 2  # MB: two batches of 8 images at once
EXPERIMENT = ExperimentConfig(
    ModelConfig(dims=(8, 16), depths=(1, 1), n_div=4),
    train=TrainConfig(epochs=1, batch_size=8, precision="float32"),
).for_data(DATA)


@pytest.fixture(scope="module")
def examples(tmp_path_factory):
    return large_images.write(tmp_path_factory.mktemp("large"), DATA, train=90, eval=20)


def files(examples, split):
    return [f"{split_folder(examples, split)}/*"]


def take(batches, count=-1):
    return list(batches.take(count).as_numpy_iterator())


@pytest.mark.parametrize("augmented", [False, True])
def test_streamed_batches_are_those_from_memory(examples, augmented):
    memory, streamed = (
        training_batches(files(examples, TRAIN), DATA, 8, DataConfig(memory=memory), 0, augmented)
        for memory in (4000, STREAMED)
    )

    assert streamed.element_spec == memory.element_spec and memory.element_spec[0].shape == (8, 99, 99, 3)
    for expected, ours in zip(take(memory, 15), take(streamed, 15), strict=True):
        np.testing.assert_array_equal(ours[0], expected[0])
        np.testing.assert_array_equal(ours[1], expected[1])


@pytest.mark.parametrize("memory", [4000, STREAMED])
def test_evaluation_has_every_image_once_in_order(examples, memory):
    batches = take(evaluation_batches(files(examples, EVAL), DATA, 8, memory=memory))

    images, labels = (np.concatenate(parts) for parts in zip(*batches, strict=True))
    drawn, expected = large_images.draw(20, 99, 300, seed=1)
    assert np.abs(images.astype(int) - drawn).max() <= 8 and labels.tolist() == expected.tolist()


@pytest.mark.parametrize("memory", [6, 5])
def test_pixels_count_as_memory(examples, tmp_path, memory):
    """The JPEGs of 90 images take 0.1 MB, and their pixels 2.6 MB, of which loading holds two copies."""
    folder = shutil.copytree(examples, tmp_path / "examples")
    batches = training_batches(files(folder, TRAIN), DATA, 8, DataConfig(memory=memory), 0)
    shutil.rmtree(folder)

    if memory == 6:
        assert len(take(batches, 12)) == 12
    else:
        with pytest.raises(tf.errors.OpError, match="cannot be read"):
            take(batches, 12)


def test_few_images_are_decoded_at_once_while_loading(examples, monkeypatch):
    sizes, parsed = [], input_pipeline._parsed

    def watched(batches, *options):
        sizes.extend(len(batch) for batch in batches.as_numpy_iterator())
        return parsed(batches, *options)

    monkeypatch.setattr(features, "_BLOCK_BYTES", 25 * DATA.image_bytes)
    monkeypatch.setattr(input_pipeline, "_parsed", watched)
    training_batches(files(examples, TRAIN), DATA, 8, AS_STORED, 0)

    assert sizes == [25, 25, 25, 15]


@pytest.mark.parametrize("memory", [4000, STREAMED])
def test_a_training_takes_stored_jpegs(examples, tmp_path, memory):
    config = dataclasses.replace(EXPERIMENT, data=DataConfig(memory=memory))

    model = train.train(config, files(examples, TRAIN), files(examples, EVAL), resume_dir=str(tmp_path / "resume"))

    assert model.output_shape == (None, 300)


def spoil(examples, folder, split, content):
    """Copies the examples, with another IMAGE feature in the fourth record of a split; returns the file and place."""
    facts, [source] = DATA, list((examples / f"Split-{split}").iterdir())
    records = list(tf.data.TFRecordDataset(str(source)).as_numpy_iterator())
    large_images.write(folder, facts, train=90, eval=20)
    example = tf.train.Example.FromString(records[3])
    image = example.features.feature["image"].bytes_list.value
    image[0] = content(image[0])
    target = folder / f"Split-{split}" / source.name
    with tf.io.TFRecordWriter(str(target)) as writer:
        for record in [*records[:3], example.SerializeToString(), *records[4:]]:
            writer.write(record)
    return target, sum(len(record) + 16 for record in records[:3])


def cut(jpeg):
    return jpeg[:-100]


def smaller(jpeg):
    [record] = features.serialize(*large_images.draw(1, 98))
    return tf.train.Example.FromString(record).features.feature["image"].bytes_list.value[0]


CUT = r"[\d,]+ bytes that are no JPEG, or a damaged one"
SMALLER = "a JPEG of 98 x 98 pixels, but an image has 99 x 99"


@pytest.mark.slow
@pytest.mark.parametrize(
    "split, memory, content, found",
    [
        (TRAIN, 4000, cut, CUT),
        (TRAIN, STREAMED, smaller, SMALLER),
        (EVAL, STREAMED, cut, CUT),
        (EVAL, 4000, smaller, SMALLER),
    ],
)
def test_an_image_that_cannot_be_decoded_is_named(examples, tmp_path, split, memory, content, found):
    path, place = spoil(examples, tmp_path / "spoilt", split, content)
    config = dataclasses.replace(EXPERIMENT, data=DataConfig(memory=memory))

    message = rf"^{re.escape(str(path))}: the record at byte {place} holds {found}; ingest the data again$"
    with pytest.raises(DataError, match=message):
        train.train(
            config,
            files(tmp_path / "spoilt", TRAIN),
            files(tmp_path / "spoilt", EVAL),
            resume_dir=str(tmp_path / "resume"),
        )
