import pytest
from known_data import CIFAR10, describe

from shiftvit.dataset import DATASET_FILE, dataset_of_files, read_dataset
from shiftvit.errors import DataError


def test_facts_are_read_as_they_were_written(tmp_path):
    describe(tmp_path)

    assert read_dataset(tmp_path) == dataset_of_files([f"{tmp_path}/Split-train/*"]) == CIFAR10


@pytest.mark.parametrize("content", [None, "", "[]", '{"image_size": 32}', '{"image_size": "large"}'])
def test_facts_that_are_missing_or_damaged_are_named(tmp_path, content):
    if content is not None:
        (tmp_path / DATASET_FILE).write_text(content)

    with pytest.raises(DataError, match=rf"{tmp_path}/{DATASET_FILE}: cannot be read .*; ingest the data again"):
        read_dataset(tmp_path)
