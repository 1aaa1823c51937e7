from pathlib import Path

import apache_beam as beam
import pytest
import tensorflow as tf
from cifar100_files import COARSE_NAMES, cifar100_splits, make_cifar100_binary
from cifar_files import make_archive, prepare
from tfx.types import artifact_utils, standard_artifacts

from components.example_gen import records
from components.example_gen.component import ImageExampleGen
from shiftvit import features
from shiftvit.config import DataConfig
from shiftvit.dataset import read_dataset


@pytest.mark.slow
def test_cifar100_is_ingested_with_its_coarse_labels(tmp_path):
    archive = make_archive(make_cifar100_binary(tmp_path / "data"))
    source = prepare(archive, tmp_path, data=DataConfig(cifar100_labels="coarse"))
    examples = standard_artifacts.Examples()
    examples.uri = str(tmp_path / "examples")

    ImageExampleGen.test_call(
        examples=examples,
        input_base=str(source.folder),
        image_folder="",
        identity=source.identity.to_json(),
        images_per_shard=8,
        max_bad_images=0,
        beam_pipeline=beam.Pipeline(argv=["--runner=FnApiRunner"]),
    )

    for split, expected in cifar100_splits("coarse").items():
        files = sorted(Path(artifact_utils.get_split_uri([examples], split)).iterdir())
        read = list(tf.data.TFRecordDataset([str(file) for file in files]).as_numpy_iterator())
        images, labels = features.parse(tf.constant(read), 32)
        assert records.pack(images.numpy(), labels.numpy()) == expected
    dataset = read_dataset(tmp_path / "examples")
    assert (dataset.class_names, dataset.num_classes) == (COARSE_NAMES, 20)
    assert sum(dataset.class_counts["eval"]) == 5
