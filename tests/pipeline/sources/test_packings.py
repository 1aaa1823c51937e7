"""The archives that people make of CIFAR themselves: any top folder, any compression."""

import itertools
import tarfile

import pytest
from cifar100_files import (
    COARSE_NAMES,
    OWN_SPLITS,
    cifar100_splits,
    make_cifar100_binary,
    make_cifar100_python,
    make_own_binary,
    make_own_python,
)
from cifar_files import SPLITS, left_behind, make_binary, make_python, prepare, splits

from pipeline.sources.detect import kind_of
from shiftvit.config import DataConfig
from shiftvit.errors import DataError

LAYOUTS = {
    "CIFAR-10, binary": (make_binary, SPLITS),
    "CIFAR-10, python": (make_python, SPLITS),
    "CIFAR-100, binary": (make_cifar100_binary, cifar100_splits("fine")),
    "CIFAR-100, python": (make_cifar100_python, cifar100_splits("fine")),
    "own, binary": (lambda parent: make_own_binary(parent / "zoo"), OWN_SPLITS),
    "own, python": (lambda parent: make_own_python(parent / "zoo"), OWN_SPLITS),
}
TOPS = ("", ".", "renamed", "./renamed", "a/b", "cifar-100-python", "2024 [new]", "t\u00e9")
COMPRESSIONS = {"gz": ".tar.gz", "bz2": ".tbz2", "xz": ".tar.xz", "": ".tar"}


def pack(folder, top, compression="gz", name=None, reverse=False):
    path = folder.parent / (name or f"packed{COMPRESSIONS[compression]}")
    with tarfile.open(path, f"w:{compression}") as archive:
        for file in sorted(folder.iterdir(), reverse=reverse):
            archive.add(file, f"{top}/{file.name}" if top else file.name)
    return path


@pytest.mark.parametrize("layout, compression", itertools.product(LAYOUTS, COMPRESSIONS))
def test_any_top_folder_and_compression_are_read(layout, compression, tmp_path):
    make, expected = LAYOUTS[layout]
    folder = make(tmp_path / "data")
    for number, (top, reverse) in enumerate(itertools.product(TOPS, (False, True))):
        path = pack(folder, top, compression, reverse=reverse)
        assert kind_of(path) == "cifar"
        assert splits(prepare(path, tmp_path / str(number))) == expected, (top, reverse)


def test_the_first_bytes_and_not_the_name_say_how_an_archive_is_compressed(tmp_path):
    folder = make_binary(tmp_path)
    for compression, name in (("", "a.tar.gz"), ("xz", "b.tgz"), ("gz", "c.TAR"), ("bz2", "download")):
        path = pack(folder, "", compression, name)
        assert kind_of(path) == "cifar" and splits(prepare(path, tmp_path)) == SPLITS


def test_coarse_labels_are_found_without_the_top_folder(tmp_path):
    path = pack(make_cifar100_binary(tmp_path), "")
    source = prepare(path, tmp_path, data=DataConfig(cifar100_labels="coarse"))
    assert source.identity.class_names == COARSE_NAMES and splits(source) == cifar100_splits("coarse")


def test_two_data_sets_in_one_archive_are_refused_for_that(tmp_path):
    folder = tmp_path / "both"
    make_binary(folder)
    with (make_python(folder) / "data_batch_1").open("ab") as file:
        file.write(bytes(2 << 20))
    with tarfile.open(tmp_path / "both.tar", "w") as archive:
        archive.add(folder, "")

    with pytest.raises(DataError, match="unpacks to far more than the data set's files; pack only these"):
        prepare(tmp_path / "both.tar", tmp_path)
    assert not left_behind(tmp_path)


@pytest.mark.parametrize("count, size", [(3, 100), (3, 1 << 20), (3000, 100)])
def test_an_archive_of_image_files_is_refused_for_what_it_holds(count, size, tmp_path):
    folder = tmp_path / "photos"
    folder.mkdir()
    for number in range(count):
        (folder / f"{number}.png").write_bytes(bytes(size))

    with pytest.raises(
        DataError, match=r"no CIFAR-10 or CIFAR-100 in this archive: expected data_batch_1\.bin or .*png"
    ):
        prepare(pack(folder, "cats"), tmp_path)
