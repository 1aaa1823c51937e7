import hashlib
import json
from dataclasses import replace
from pathlib import Path

import apache_beam as beam
import numpy as np
import pytest
import tensorflow as tf
from apache_beam.testing import test_pipeline as beam_test
from apache_beam.testing.util import assert_that, equal_to
from known_data import CLASS_NAMES
from tfx.components.util import examples_utils
from tfx.proto import example_gen_pb2
from tfx.types import artifact_utils, standard_artifacts

from components.example_gen import component, records
from components.example_gen.shards import plan
from components.example_gen.source_identity import SourceIdentity
from shiftvit import features
from shiftvit.dataset import DATASET_FILE, read_dataset
from shiftvit.errors import DataError

COUNTS = {"train": 25, "eval": 10, "test": 3}


@pytest.fixture
def source(tmp_path):
    rng = np.random.default_rng(0)
    folder = tmp_path / "source"
    folder.mkdir()
    for split, count in COUNTS.items():
        images, labels = rng.integers(0, 256, (count, 32, 32, 3), np.uint8), rng.integers(0, 10, count)
        (folder / f"{split}.bin").write_bytes(records.pack(images, labels))
    return folder


IDENTITY = SourceIdentity("folder", hashlib.sha256(b"").hexdigest(), False, COUNTS, CLASS_NAMES, 32)


def shards_of(source, output, images_per_shard=10):
    shards = plan(IDENTITY, str(source), "", str(output), images_per_shard)
    for shard in shards:
        Path(shard.target).parent.mkdir(parents=True, exist_ok=True)
        Path(shard.unfinished).mkdir(exist_ok=True)
    return shards


def local_pipeline():
    return beam.Pipeline(argv=["--runner=FnApiRunner"])


def write(shards):
    with local_pipeline() as pipeline:
        _ = pipeline | beam.Create(shards) | component.WriteShards()


def contents(folder):
    return {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def properties(source, counts=COUNTS):
    identity = replace(IDENTITY, counts=counts)
    return {
        "input_base": str(source),
        "image_folder": "",
        "identity": identity.to_json(),
        "images_per_shard": 10,
        "max_bad_images": 0,
    }


def do(folder, exec_properties):
    examples = standard_artifacts.Examples()
    examples.uri = str(folder)
    component.ImageExampleGen.test_call(examples=examples, beam_pipeline=local_pipeline(), **exec_properties)
    return examples


def test_plan_covers_every_record_once():
    shards = plan(IDENTITY, "in", "", "out", images_per_shard=10)
    assert [(s.split, s.start, s.images) for s in shards] == [
        ("train", 0, 10),
        ("train", 10, 10),
        ("train", 20, 5),
        ("eval", 0, 10),
        ("test", 0, 3),
    ]
    assert shards[2].target == "out/Split-train/data_tfrecord-00002-of-00003"


def test_transform_returns_the_number_of_images_per_shard(source, tmp_path):
    with beam_test.TestPipeline(runner="FnApiRunner") as pipeline:
        written = pipeline | beam.Create(shards_of(source, tmp_path / "out")) | component.WriteShards()
        assert_that(written, equal_to([("train", 10), ("train", 10), ("train", 5), ("eval", 10), ("test", 3)]))


def test_retried_shard_writes_the_same_files(source, tmp_path):
    shards = shards_of(source, tmp_path / "out")
    write(shards)
    once = contents(tmp_path / "out")
    write(shards + shards)
    assert contents(tmp_path / "out") == once and len(once) == 2 * len(shards)


def test_truncated_source_writes_no_shard(source, tmp_path):
    (source / "test.bin").write_bytes((source / "test.bin").read_bytes()[: 2 * records.RECORD_BYTES])
    with pytest.raises(Exception, match=r"test\.bin: 2 records from byte 0, expected 3"):
        write([shard for shard in shards_of(source, tmp_path / "out") if shard.split == "test"])
    assert not contents(tmp_path / "out/Split-test")


def test_examples_equal_the_source_in_content_and_order(source, tmp_path):
    examples = do(tmp_path / "examples", properties(source))
    for split in COUNTS:
        files = sorted(Path(artifact_utils.get_split_uri([examples], split)).iterdir())
        read = list(tf.data.TFRecordDataset([str(file) for file in files]).as_numpy_iterator())
        images, labels = features.parse(tf.constant(read), 32)
        assert records.pack(images.numpy(), labels.numpy()) == (source / f"{split}.bin").read_bytes()
    names = {path.name for path in (tmp_path / "examples").iterdir()}
    assert names == {"Split-train", "Split-eval", "Split-test", DATASET_FILE}


def test_properties_describe_the_examples_and_their_source(source, tmp_path):
    examples = do(tmp_path / "examples", properties(source))
    assert artifact_utils.decode_split_names(examples.split_names) == ["train", "eval", "test"]
    assert examples_utils.get_payload_format(examples) == example_gen_pb2.FORMAT_TF_EXAMPLE
    assert examples.get_string_custom_property("source_kind") == "folder"
    assert examples.get_string_custom_property("source_sha256") == hashlib.sha256(b"").hexdigest()
    assert examples.get_int_custom_property("source_published") == 0
    assert [examples.get_int_custom_property(f"count_{split}") for split in COUNTS] == list(COUNTS.values())
    assert json.loads(examples.get_string_custom_property("class_names")) == list(CLASS_NAMES)
    assert examples.get_int_custom_property("image_size") == 32


def test_facts_of_the_data_are_beside_the_splits(source, tmp_path):
    do(tmp_path / "examples", properties(source))

    dataset = read_dataset(tmp_path / "examples")
    images, labels = records.unpack((source / "train.bin").read_bytes(), 10, "train.bin")
    assert (dataset.image_size, dataset.class_names) == (32, CLASS_NAMES)
    assert {split: sum(counts) for split, counts in dataset.class_counts.items()} == COUNTS
    assert dataset.class_counts["train"] == tuple(np.bincount(labels, minlength=10))
    np.testing.assert_allclose(dataset.pixel_mean, (images / 255).mean(axis=(0, 1, 2)), atol=5e-5)


def test_failed_shard_leaves_no_splits(source, tmp_path):
    with pytest.raises(Exception, match="expected 4"):
        do(tmp_path / "examples", properties(source, COUNTS | {"test": 4}))
    assert not contents(tmp_path / "examples")


def lose_one(files):
    files[1].unlink()


def lose_all(files):
    for file in files:
        file.unlink()


def double_one(files):
    files[1].with_name("another").write_bytes(files[1].read_bytes())


@pytest.mark.parametrize("spoil, found", [(lose_one, 15), (lose_all, 0), (double_one, 35)])
def test_lost_or_doubled_records_raise(source, tmp_path, spoil, found):
    do(tmp_path / "examples", properties(source))
    spoil(sorted((tmp_path / "examples/Split-train").iterdir()))
    with pytest.raises(DataError, match=rf"Split-train: {found} records were written of the 25 images"):
        component.verify(COUNTS, str(tmp_path / "examples"))


def test_component_declares_its_parameters_and_examples(source):
    node = component.ImageExampleGen(**properties(source))
    assert node.outputs["examples"].type is standard_artifacts.Examples
    assert node.exec_properties["images_per_shard"] == 10
    assert node.executor_spec.class_path == "components.example_gen.component.ImageExampleGen_Executor"
