"""Damaged files in the layouts of CIFAR: each is refused with an error message, and leaves nothing."""

import numpy as np
import pytest
from cifar100_files import (
    OWN_SPLITS,
    draw,
    make_cifar100_binary,
    make_cifar100_python,
    make_own_binary,
)
from cifar_files import RECORDS, left_behind, make_archive, make_binary, prepare, rewrite_pickle
from known_data import CLASS_NAMES

from components.example_gen import records
from pipeline.sources import cifar, cifar_reader
from shiftvit.errors import DataError


def put(name, position, *values):
    """Returns a change of a folder: other bytes at a position of a file."""

    def spoil(folder):
        content = bytearray((folder / name).read_bytes())
        content[position : position + len(values)] = bytes(values)
        (folder / name).write_bytes(content)

    return spoil


def rewrite(name, text):
    return lambda folder: (folder / name).write_text(text)


def remove(name):
    return lambda folder: (folder / name).unlink()


def cut(name, size):
    return lambda folder: (folder / name).write_bytes((folder / name).read_bytes()[:size])


def repickle(protocol=2, **fields):
    planes, coarse, fine = draw("train")
    fields = {"data": planes, "coarse_labels": coarse.tolist(), "fine_labels": fine.tolist()} | fields
    return lambda folder: rewrite_pickle(folder / "train", fields, protocol)


def make_own(parent):
    return make_own_binary(parent / "cifar-10-batches-bin")


def keep_one_image(folder):
    for number in range(2, 11):
        (folder / f"data_batch_{number}.bin").unlink()
    cut("data_batch_1.bin", records.RECORD_BYTES)(folder)


SPOILED = [
    (make_cifar100_binary, remove("train.bin"), r"train\.bin missing; this layout has train\.bin, test\.bin and fine_"),
    (make_cifar100_binary, remove("test.bin"), r"test\.bin missing"),
    (make_cifar100_binary, remove("fine_label_names.txt"), r"fine_label_names\.txt missing; it has the class names"),
    (
        make_cifar100_binary,
        cut("train.bin", 30_000),
        r"train\.bin has 30,000 bytes: cut inside the record at byte 27666",
    ),
    (make_cifar100_binary, cut("test.bin", 0), r"test\.bin has 0 bytes"),
    (make_cifar100_binary, put("test.bin", 3074 + 1, 100), r"test\.bin: label 100 at byte 3075; labels are 0 to 99"),
    (make_cifar100_binary, rewrite("fine_label_names.txt", "cat\n"), "1 class names, but there must be 2 to 256"),
    (make_cifar100_binary, rewrite("fine_label_names.txt", "cat\ndog\ncat"), "class name 'cat' occurs twice"),
    (make_cifar100_binary, rewrite("fine_label_names.txt", "\x1b[2J\ncat"), "not a valid class name"),
    (make_cifar100_python, remove("meta"), "meta missing; it has the class names"),
    (make_cifar100_python, rewrite("meta", "cos\nsystem\n(S'touch called'\ntR."), r"meta: not a pickle .* os\.system"),
    (make_cifar100_python, rewrite("test", "cos\nsystem\n(S'touch called'\ntR."), r"test: not a pickle .* os\.system"),
    (make_cifar100_python, repickle(fine_labels=[0] * 24), "train: its 'fine_labels' is not a list of 25 integers"),
    (make_cifar100_python, repickle(fine_labels=[0] * 24 + [100]), r"train: label 100 of image 24; labels are 0 to 99"),
    (make_cifar100_python, repickle(fine_labels=[300] * 25), r"train: label 300 of image 0; labels are 0 to 255"),
    (make_cifar100_python, repickle(data=[1, 2]), "its 'data' is not an array of images, 3072 bytes each"),
    (
        make_cifar100_python,
        repickle(4, data=np.zeros((0, 3072), np.uint8), fine_labels=[]),
        "its 'data' is not an array",
    ),
    (
        make_own,
        remove("data_batch_3.bin"),
        r"data_batch_3\.bin missing; .* data_batch_1\.bin, data_batch_2\.bin and so on",
    ),
    (make_own, remove("test_batch.bin"), r"test_batch\.bin missing"),
    (make_own, rewrite("data_batch_11", ""), "'data_batch_11' is no batch of this layout"),
    (make_own, rewrite("data_batch_12345.bin", "x"), "'data_batch_12345.bin' is no batch of this layout"),
    (
        make_own,
        put("data_batch_10.bin", 3073, 3),
        r"batch_10\.bin: label 3 at byte 3073; labels are 0 to 2, as batches",
    ),
    (make_own, keep_one_image, "one training image; the train and the eval split need one each"),
]


@pytest.mark.parametrize("pack", [lambda folder: folder, make_archive], ids=["folder", "archive"])
@pytest.mark.parametrize("make, spoil, sentence", SPOILED)
def test_bad_files_are_refused_and_nothing_is_left(make, spoil, sentence, pack, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    folder = make(tmp_path / "data")
    spoil(folder)

    with pytest.raises(DataError, match=sentence):
        prepare(pack(folder), tmp_path)

    assert not left_behind(tmp_path) and not (tmp_path / "called").exists()


def test_a_folder_of_wrong_sizes_is_refused_before_anything_is_read(tmp_path):
    folder = make_cifar100_binary(tmp_path)
    with (folder / "train.bin").open("r+b") as file:
        file.truncate(1 << 40)

    with pytest.raises(DataError, match=r"train\.bin has 1,099,511,627,776 bytes, but a file may have 536,870,912"):
        prepare(folder, tmp_path)


def test_an_archive_may_only_unpack_to_so_much(tmp_path, monkeypatch):
    archive = make_archive(make_own(tmp_path))
    monkeypatch.setattr(cifar, "MAX_ARCHIVE_BYTES", sum(map(len, OWN_SPLITS.values())) - 1)

    with pytest.raises(DataError, match=r"unpacks to more than .* bytes; unpack it to a folder"):
        prepare(archive, tmp_path)
    assert not left_behind(tmp_path)


def test_a_damaged_archive_does_not_claim_the_whole_disk(tmp_path):
    archive = make_archive(make_own(tmp_path))
    whole = cifar.find(archive, "fine")
    archive.write_bytes(archive.read_bytes()[:-4] + b"\xff" * 4)

    assert 39 <= whole.images < 50
    assert cifar.find(archive, "fine").images <= 39


def cut_at_a_record(folder):
    path = folder / "data_batch_3.bin"
    path.write_bytes(path.read_bytes()[: -records.RECORD_BYTES])


def remove_last_batch(folder):
    (folder / "data_batch_5.bin").unlink()


@pytest.mark.parametrize("pack", [lambda folder: folder, make_archive], ids=["folder", "archive"])
@pytest.mark.parametrize(
    "spoil, sentence",
    [(cut_at_a_record, r"batch_3\.bin has 11 images, while each"), (remove_last_batch, r"batch_5\.bin has 0 images")],
)
def test_a_cifar10_that_lacks_images_is_refused(spoil, sentence, pack, tmp_path, monkeypatch):
    monkeypatch.setattr(cifar_reader, "BATCH_IMAGES", RECORDS)
    folder = make_binary(tmp_path / "data")
    spoil(folder)
    with pytest.raises(DataError, match=sentence):
        prepare(pack(folder), tmp_path)
    assert not left_behind(tmp_path)


def test_only_cifar10_needs_no_class_names(tmp_path, monkeypatch):
    folder = make_binary(tmp_path)
    (folder / "batches.meta.txt").unlink()
    with pytest.raises(DataError, match=r"batches\.meta\.txt missing; it has the class names"):
        prepare(folder, tmp_path)
    monkeypatch.setattr(cifar_reader, "BATCH_IMAGES", RECORDS)
    assert prepare(folder, tmp_path).identity.class_names == CLASS_NAMES
