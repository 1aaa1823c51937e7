"""CIFAR-100, and own data of any number of images and classes in the layouts of CIFAR-10."""

from pathlib import Path

import numpy as np
import pytest
from cifar100_files import (
    COARSE_NAMES,
    FINE_NAMES,
    IMAGES,
    OWN_NAMES,
    OWN_SIZES,
    OWN_SPLITS,
    cifar100_splits,
    make_cifar100_binary,
    make_cifar100_python,
    make_own_binary,
    make_own_python,
)
from cifar_files import left_behind, make_archive, make_binary, prepare, rewrite_pickle, splits
from known_data import CLASS_NAMES

from components.example_gen import records
from pipeline.cli.main import main
from pipeline.sources import cifar, cifar_published
from shiftvit.config import DataConfig
from shiftvit.errors import DataError

COARSE = DataConfig(cifar100_labels="coarse")
NAMES = {"fine": FINE_NAMES, "coarse": COARSE_NAMES}
CIFAR100 = {
    "binary folder": make_cifar100_binary,
    "python folder": make_cifar100_python,
    "parent of a folder": lambda parent: make_cifar100_binary(parent).parent,
    "binary archive": lambda parent: make_archive(make_cifar100_binary(parent)),
    "python archive": lambda parent: make_archive(make_cifar100_python(parent), reverse=True),
}
OWN = {
    "binary folder": lambda parent: make_own_binary(parent / "zoo"),
    "python folder": lambda parent: make_own_python(parent / "zoo"),
    "binary archive": lambda parent: make_archive(make_own_binary(parent / "cifar-10-batches-bin"), reverse=True),
    "python archive": lambda parent: make_archive(make_own_python(parent / "cifar-10-batches-py")),
}


@pytest.mark.parametrize("labels", NAMES)
@pytest.mark.parametrize("form", CIFAR100)
def test_cifar100_has_the_labels_of_the_setting_and_its_last_fifth_as_eval_split(form, labels, tmp_path):
    source = prepare(CIFAR100[form](tmp_path / "data"), tmp_path, data=DataConfig(cifar100_labels=labels))

    assert splits(source) == cifar100_splits(labels)
    assert source.identity.class_names == NAMES[labels]
    assert source.identity.counts == {"train": 20, "eval": 5, "test": 7}


@pytest.mark.parametrize("form", CIFAR100)
def test_fine_and_coarse_labels_are_different_sources(form, tmp_path):
    path = CIFAR100[form](tmp_path / "data")

    fine, coarse = prepare(path, tmp_path), prepare(path, tmp_path, data=COARSE)

    assert fine.folder != coarse.folder and fine.identity.to_json() != coarse.identity.to_json()
    assert (splits(fine), splits(coarse)) == (cifar100_splits("fine"), cifar100_splits("coarse"))


def test_the_same_names_for_fine_and_coarse_labels_are_still_different_sources(tmp_path):
    folder = make_cifar100_python(tmp_path)
    rewrite_pickle(folder / "meta", {f"{labels}_label_names": list(FINE_NAMES) for labels in NAMES})

    identities = [prepare(folder, tmp_path, data=data).identity for data in (DataConfig(), COARSE)]

    assert identities[0].class_names == identities[1].class_names
    assert identities[0].to_json() != identities[1].to_json()


def test_cifar10_is_preferred_to_cifar100_unless_the_setting_asks_for_coarse_labels(tmp_path):
    make_cifar100_binary(tmp_path)
    make_binary(tmp_path)

    assert prepare(tmp_path, tmp_path).identity.class_names == CLASS_NAMES
    assert prepare(tmp_path, tmp_path, data=COARSE).identity.class_names == COARSE_NAMES


def test_data_without_coarse_labels_is_refused_if_the_setting_asks_for_them(tmp_path):
    folder = make_binary(tmp_path)
    for source in (folder, make_archive(folder)):
        with pytest.raises(DataError, match=r"no CIFAR-100 \(data\.cifar100_labels=coarse\)"):
            prepare(source, tmp_path, data=COARSE)
    assert not left_behind(tmp_path)


def test_the_published_archives_of_cifar100_are_known():
    """As in tensorflow-datasets and Keras."""
    import tensorflow_datasets as tfds
    from keras.src.datasets import cifar100

    (info,) = tfds.builder_cls("cifar100").url_infos.values()
    assert info.checksum == cifar_published.ARCHIVES[2]
    assert cifar_published.ARCHIVES[3] in Path(cifar100.__file__).read_text()


def test_a_published_archive_is_marked_with_either_labels(tmp_path, monkeypatch):
    archive = make_archive(make_cifar100_binary(tmp_path))
    monkeypatch.setattr(cifar_published, "ARCHIVES", (cifar.file_checksum(archive),))
    for data in (DataConfig(), COARSE):
        identity = prepare(archive, tmp_path, data=data).identity
        assert identity.published and identity.sha256 == cifar.file_checksum(archive)


@pytest.mark.parametrize("form", OWN)
def test_own_batches_may_have_any_number_size_and_classes(form, tmp_path):
    source = prepare(OWN[form](tmp_path / "data"), tmp_path)

    assert splits(source) == OWN_SPLITS
    assert source.identity.class_names == OWN_NAMES and source.identity.num_classes == 3
    assert source.identity.counts == {"train": sum(OWN_SIZES[:-1]), "eval": OWN_SIZES[-1], "test": 7}
    assert sorted(file.name for file in source.folder.iterdir()) == [
        "eval.bin",
        "source.json",
        "test.bin",
        "train.bin",
    ]


@pytest.mark.parametrize("images, held_out", [(2, 1), (4, 1), (9, 1), (10, 2)])
def test_one_training_batch_gives_its_last_fifth_to_the_eval_split(images, held_out, tmp_path):
    folder = make_own_binary(tmp_path / "zoo")
    for file in folder.glob("data_batch_*"):
        file.unlink()
    block = records.pack_planes(np.full((images, 3072), 7, np.uint8), np.arange(images) % 3)
    (folder / "data_batch_1.bin").write_bytes(block)

    source = prepare(folder, tmp_path)

    assert source.identity.counts == {"train": images - held_out, "eval": held_out, "test": 7}
    assert splits(source)["train"] + splits(source)["eval"] == block


def test_256_classes_are_possible(tmp_path):
    folder = make_own_binary(tmp_path / "zoo")
    (folder / "batches.meta.txt").write_text("\n".join(map(str, range(256))))
    block = records.pack_planes(np.zeros((256, 3072), np.uint8), np.arange(256))
    (folder / "data_batch_1.bin").write_bytes(block)

    assert splits(prepare(folder, tmp_path))["train"].startswith(block)


@pytest.mark.parametrize(
    "make, labels, classes, counts",
    [
        (make_cifar100_binary, "fine", "fine 0, fine 1", "train 20, eval 5, test 7"),
        (make_cifar100_python, "coarse", "coarse 0, coarse 1", "train 20, eval 5, test 7"),
        (lambda parent: make_own_binary(parent / "zoo"), "fine", "polar bear, seal, whale", "train 28, eval 4, test 7"),
    ],
)
def test_the_command_reads_each_and_reports_its_progress_in_images(make, labels, classes, counts, tmp_path, capsys):
    folder = make(tmp_path / "data")
    arguments = ["--workspace", str(tmp_path / "workspace"), "--set", f"data.cifar100_labels={labels}"]

    assert main(["data", "--data", str(folder), *arguments]) == 0

    out, err = capsys.readouterr()
    assert classes in out and counts in out
    total = sum(int(part.split()[1]) for part in counts.split(", "))
    assert f"{total}/{total} images" in err


@pytest.mark.slow
def test_a_large_batch_of_a_pickle_may_have_more_instructions(tmp_path):
    """As many images as CIFAR-100 has in one file, each with a file name of its own."""
    folder, count = make_cifar100_python(tmp_path), 50_000
    planes, coarse, fine = np.zeros((count, 3072), np.uint8), np.arange(count) % 20, np.arange(count) % 100
    names = [f"{number}.png".encode() for number in range(count)]
    labels = {"fine_labels": fine.tolist(), "coarse_labels": coarse.tolist()}
    rewrite_pickle(folder / "train", {"data": planes, "filenames": names} | labels)

    assert prepare(folder, tmp_path).identity.counts == {"train": 40_000, "eval": 10_000, "test": IMAGES["test"]}
