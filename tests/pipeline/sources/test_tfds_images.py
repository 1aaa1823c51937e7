"""Data sets of tensorflow-datasets by name: a small one, prepared in a local data_dir by another process."""

import shutil
import subprocess
import sys

import numpy as np
import pytest

from components.example_gen import image_files
from pipeline.config.settings import IngestConfig, PipelineConfig
from pipeline.sources.prepare import prepare
from shiftvit import features, pixels
from shiftvit.config import DataConfig
from shiftvit.errors import DataError

PREPARE = """
import sys
import numpy as np, tensorflow_datasets as tfds

class TinyGrey(tfds.core.GeneratorBasedBuilder):
    VERSION = tfds.core.Version("1.0.0")
    def _info(self):
        names = ["zero", "one", "a b"]
        image = tfds.features.Image(shape=(28, 28, 1))
        found = {"image": image, "label": tfds.features.ClassLabel(names=names), "id": tfds.features.Text()}
        return tfds.core.DatasetInfo(builder=self, features=tfds.features.FeaturesDict(found))
    def _split_generators(self, manager):
        return {"train": self._generate_examples(60), "test": self._generate_examples(30)}
    def _generate_examples(self, count):
        for index in range(count):
            image = np.full((28, 28, 1), 10 * (index % 3) + 100, np.uint8)
            yield index, {"image": image, "label": index % 3, "id": str(index)}

class TwoImages(TinyGrey):
    def _info(self):
        image = tfds.features.Image(shape=(28, 28, 1))
        return tfds.core.DatasetInfo(builder=self, features=tfds.features.FeaturesDict({"left": image, "right": image}))
    def _generate_examples(self, count):
        image = np.zeros((28, 28, 1), np.uint8)
        yield 0, {"left": image, "right": image}

for builder in (TinyGrey, TwoImages):
    builder(data_dir=sys.argv[1]).download_and_prepare()
"""


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tfds")
    subprocess.run([sys.executable, "-c", PREPARE, str(folder)], check=True, capture_output=True)
    return folder


def prepare_tfds(name, data_dir, tmp_path, **data):
    ingest = IngestConfig(tfds_dir=str(data_dir))
    config = PipelineConfig(source=f"tfds:{name}", workspace=str(tmp_path), ingest=ingest, data=DataConfig(**data))
    return prepare(config)


def test_a_data_dir_may_have_any_name(data_dir, tmp_path):
    odd = shutil.copytree(data_dir, tmp_path / "[2024]*{a,b}?\\")

    assert prepare_tfds("tiny_grey", odd, tmp_path / "work").identity.counts["test"] == 30
    with pytest.raises(DataError) as caught:
        prepare_tfds("unknown_set", odd, tmp_path / "work")
    assert f"neither prepared in {odd} nor" in str(caught.value)


def test_a_prepared_set_of_grey_images_becomes_image_files_with_its_classes(data_dir, tmp_path):
    source = prepare_tfds("tiny_grey", data_dir, tmp_path)

    identity = source.identity
    assert identity.class_names == ("zero", "one", "a b") and identity.image_size == 28
    assert identity.counts["test"] == 30 and identity.counts["train"] + identity.counts["eval"] == 60
    for split in features.SPLITS:
        entries = image_files.read_list(image_files.list_file(source.folder, split))
        assert {label for _, label in entries} == {0, 1, 2}
        for path, label in entries:
            image = pixels.decode((source.image_folder / path).read_bytes(), 28)
            np.testing.assert_array_equal(image, np.full((28, 28, 3), 10 * label + 100))
    assert prepare_tfds("tiny_grey", data_dir, tmp_path) == source
    assert list((tmp_path / "sources").iterdir()) == [source.folder]


def test_another_size_is_another_source(data_dir, tmp_path):
    first, other = (prepare_tfds("tiny_grey", data_dir, tmp_path, image_size=size) for size in (28, 32))
    assert other.identity.image_size == 32 and other.folder != first.folder


@pytest.mark.parametrize(
    "name, message",
    [
        ("no_such_set", "tfds:no_such_set: neither prepared in .*tfds.* nor known to tensorflow-datasets"),
        ("two_images", r"tfds:two_images: not a set of images with one class each; its features are left \(Image\)"),
    ],
)
def test_what_is_no_classification_of_images_is_refused(name, message, data_dir, tmp_path):
    with pytest.raises(DataError, match=message):
        prepare_tfds(name, data_dir, tmp_path)
    assert not (tmp_path / "sources").exists()


def test_a_set_that_must_be_downloaded_by_hand_is_refused_with_the_way_out(tmp_path):
    import tensorflow_datasets as tfds

    class ByHand(tfds.core.GeneratorBasedBuilder):
        VERSION = tfds.core.Version("1.0.0")
        MANUAL_DOWNLOAD_INSTRUCTIONS = "Ask the authors."

        def _info(self):
            return tfds.core.DatasetInfo(builder=self, features=tfds.features.FeaturesDict({}))

        def _split_generators(self, manager):
            return {"train": self._generate_examples(manager.manual_dir)}

        def _generate_examples(self, folder):
            yield from ()

    with pytest.raises(DataError, match=r"tfds:by_hand: .*Ask the authors.*prepare it elsewhere, and set ingest"):
        prepare_tfds("by_hand", tmp_path / "data", tmp_path)
