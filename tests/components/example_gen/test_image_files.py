"""Ingestion of image files: pixels, labels, what is left out and what stops it."""

import json
from pathlib import Path

import apache_beam as beam
import numpy as np
import pytest
import tensorflow as tf
from image_folders import picture, write_classes
from photos import encode, turned
from tfx.types import standard_artifacts

from components.example_gen import component, image_files
from components.example_gen.bad_images import BAD_IMAGES_FILE, read_bad_images
from components.example_gen.source_identity import SourceIdentity
from shiftvit import features, pixels
from shiftvit.dataset import read_dataset
from shiftvit.input_pipeline import first_records

NAMES = ("polar bear", "Übersicht", "cat")
SIZE = 20


def write_source(folder, files):
    """Writes the lists of a prepared source, with the same files in every split, and returns its identity."""
    folder.mkdir()
    for split in features.SPLITS:
        image_files.write_list(image_files.list_file(folder, split), files[split])
    counts = {split: len(files[split]) for split in features.SPLITS}
    return SourceIdentity("images", "0", False, counts, NAMES, SIZE, "pad")


@pytest.fixture
def photos(tmp_path):
    return write_classes(tmp_path / "photos", NAMES, count=30, size=(30, 40))


def in_splits(photos):
    """Returns the entries of each split: ten numbers of each class."""
    return {
        split: [(f"{name}/{n:04}.png", label) for n in range(i, 30, 3) for label, name in enumerate(NAMES)]
        for i, split in enumerate(features.SPLITS)
    }


def ingest(tmp_path, photos, files, **changes):
    identity = write_source(tmp_path / "source", files)
    examples = standard_artifacts.Examples()
    examples.uri = str(tmp_path / "examples")
    parameters = {"images_per_shard": 12, "max_bad_images": 1} | changes
    component.ImageExampleGen.test_call(
        examples=examples,
        input_base=str(tmp_path / "source"),
        image_folder=str(photos),
        identity=identity.to_json(),
        beam_pipeline=beam.Pipeline(argv=["--runner=FnApiRunner"]),
        **parameters,
    )
    return examples


def test_records_hold_the_pixels_and_labels_of_the_files_in_order(tmp_path, photos):
    files = in_splits(photos)
    examples = ingest(tmp_path, photos, files)

    for split in features.SPLITS:
        records = first_records(features.split_folder(examples.uri, split))
        images, labels = features.parse(tf.constant(records), SIZE)
        expected = [pixels.decode((photos / path).read_bytes(), SIZE, "pad") for path, _ in files[split]]
        np.testing.assert_array_equal(images, expected)
        assert labels.numpy().tolist() == [label for _, label in files[split]]
    dataset = read_dataset(examples.uri)
    assert (dataset.image_size, dataset.class_names, dataset.resize) == (SIZE, NAMES, "pad")
    assert dataset.class_counts["eval"] == (10, 10, 10)
    assert not Path(examples.uri, BAD_IMAGES_FILE).exists()


def test_a_photo_turned_by_exif_has_the_pixels_of_the_upright_one(tmp_path, photos):
    upright = picture(1, 99, (50, 20))
    (photos / "cat/0000.png").write_bytes(turned(upright, 6))
    (photos / "cat/0003.png").write_bytes(encode(upright))
    examples = ingest(tmp_path, photos, in_splits(photos))
    images, _ = features.parse(tf.constant(first_records(features.split_folder(examples.uri, "train"))), SIZE)
    np.testing.assert_array_equal(images[2], images[5])


def test_files_that_do_not_decode_are_left_out_listed_and_counted(tmp_path, photos, caplog):
    (photos / "cat/0004.png").write_bytes(b"no image")
    examples = ingest(tmp_path, photos, in_splits(photos))

    [bad] = read_bad_images(examples.uri)["eval"]
    assert bad.path == "cat/0004.png" and "not a PNG, JPEG, BMP, GIF or WebP image" in bad.reason
    assert read_dataset(examples.uri).class_counts["eval"] == (10, 10, 9)
    assert component.read_counts(examples) == {"train": 30, "eval": 29, "test": 30}
    assert "left out because they do not decode: 1," in caplog.text and "cat/0004.png" in caplog.text


def refused(tmp_path, photos, message, files=None, **changes):
    with pytest.raises(Exception, match=message):
        ingest(tmp_path, photos, files or in_splits(photos), **changes)
    assert not list((tmp_path / "examples").iterdir())


def test_too_many_files_that_do_not_decode_stop_the_run(tmp_path, photos):
    for number in (0, 1):
        (photos / f"cat/000{number}.png").write_bytes(encode(picture(0, number))[:300])
    message = r"image files that do not decode: 2, more than ingest.max_bad_images=1: cat/000"
    refused(tmp_path, photos, message)


def test_a_file_that_vanishes_or_cannot_be_read_stops_the_run(tmp_path, photos):
    files = in_splits(photos)
    (photos / "cat/0007.png").unlink()
    refused(tmp_path, photos, r"photos/cat/0007.png: cannot be read \(No such file or directory\)", files)


def test_a_file_in_two_classes_stops_the_run_and_both_are_named(tmp_path, photos):
    (photos / "cat/0000.png").write_bytes((photos / "polar bear/0001.png").read_bytes())
    message = r"image files in two classes: 1, such as (polar bear/0001.png in polar bear and )?cat/0000.png in cat"
    refused(tmp_path, photos, message)


def test_a_file_twice_in_one_class_is_left_to_the_data_gate(tmp_path, photos):
    (photos / "cat/0000.png").write_bytes((photos / "cat/0001.png").read_bytes())
    ingest(tmp_path, photos, in_splits(photos))


def test_lists_are_read_as_they_were_written(tmp_path):
    entries = [("a b/ü.png", 0), ("\udcff.png", 70_000)]
    image_files.write_list(str(tmp_path / "list"), entries)
    assert image_files.read_list(str(tmp_path / "list")) == entries
    assert json.loads((tmp_path / "list").read_text().splitlines()[0]) == ["a b/ü.png", 0]
