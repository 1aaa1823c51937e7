import gzip
import io
import shutil
import tarfile

import numpy as np
import pytest
from cifar_files import (
    BATCH_BYTES,
    BLOCKS,
    RECORDS,
    SPLITS,
    batch,
    left_behind,
    make_archive,
    make_binary,
    make_python,
    prepare,
    rewrite_pickle,
    splits,
)
from known_data import CLASS_NAMES

from components.example_gen import records
from components.example_gen.source_identity import SourceIdentity
from pipeline.config.settings import ShapesConfig
from pipeline.sources import cifar, cifar_published
from shiftvit.errors import DataError

FORMS = {
    "binary folder": make_binary,
    "python folder": make_python,
    "parent of a folder": lambda parent: make_python(parent).parent,
    "binary archive": lambda parent: make_archive(make_binary(parent)),
    "python archive": lambda parent: make_archive(make_python(parent), reverse=True),
}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_gives_the_same_records(form, tmp_path):
    source = prepare(FORMS[form](tmp_path / "data"), tmp_path)
    identity = source.identity
    assert splits(source) == SPLITS
    assert identity.kind == ("archive" if "archive" in form else "folder")
    assert identity.counts == {"train": 48, "eval": 12, "test": 12}
    assert identity.class_names == CLASS_NAMES and not identity.published
    assert source.folder.name == f"{identity.kind}-{identity.sha256[:16]}"
    assert identity == SourceIdentity.from_json((source.folder / "source.json").read_text())


def test_equal_records_of_several_forms_take_their_place_once(tmp_path):
    folders = {prepare(make(tmp_path / form), tmp_path).folder for form, make in FORMS.items()}
    assert len(folders) > 1
    for split in SPLITS:
        assert len({(folder / f"{split}.bin").stat().st_ino for folder in folders}) == 1


def test_the_binary_format_is_preferred(tmp_path):
    make_python(tmp_path)
    folder = make_binary(tmp_path)
    assert prepare(tmp_path, tmp_path).identity == prepare(folder, tmp_path).identity


def test_a_source_is_prepared_once_and_again_when_its_content_changes(tmp_path):
    folder = make_binary(tmp_path)
    first = prepare(folder, tmp_path)
    made = (first.folder / "train.bin").stat().st_mtime_ns
    assert prepare(folder, tmp_path) == first
    assert (first.folder / "train.bin").stat().st_mtime_ns == made
    (folder / "test_batch.bin").write_bytes(BLOCKS[0])
    second = prepare(folder, tmp_path)
    assert (
        second.identity.sha256 != first.identity.sha256
        and splits(second)["test"] == BLOCKS[0]
        and splits(first) == SPLITS
    )


def test_two_processes_can_prepare_the_same_source_at_once(tmp_path, monkeypatch):
    folder, read, made = make_binary(tmp_path), cifar.read_folder, []

    def read_after_another_process(*arguments):
        monkeypatch.setattr(cifar, "read_folder", read)
        made.append(prepare(folder, tmp_path))
        return read(*arguments)

    monkeypatch.setattr(cifar, "read_folder", read_after_another_process)
    source = prepare(folder, tmp_path)

    assert made == [source] and splits(source) == SPLITS
    assert list(source.folder.parent.iterdir()) == [source.folder]


def test_the_leftovers_of_a_killed_preparation_are_removed_by_the_next(tmp_path):
    folder = make_binary(tmp_path)
    source = prepare(folder, tmp_path)
    source.folder.rename(source.folder.with_name(f".{source.folder.name}.01234567.partial"))

    assert prepare(folder, tmp_path) == source
    assert list(source.folder.parent.iterdir()) == [source.folder]


def test_an_archive_with_the_published_checksum_is_marked_published(tmp_path, monkeypatch):
    archive = make_archive(make_binary(tmp_path))
    monkeypatch.setattr(cifar_published, "ARCHIVES", (cifar.file_checksum(archive),))
    assert prepare(archive, tmp_path).identity.published


def test_a_damaged_prepared_folder_is_refused(tmp_path):
    folder = make_binary(tmp_path)
    (prepare(folder, tmp_path).folder / "eval.bin").write_bytes(b"")
    with pytest.raises(DataError, match="damaged since it was written; remove it"):
        prepare(folder, tmp_path)


def test_shapes_have_the_configured_counts(tmp_path):
    source = prepare("shapes", tmp_path, shapes=ShapesConfig(train=50, eval=20, test=10, seed=5))
    assert source.identity.counts == {"train": 50, "eval": 20, "test": 10} and source.identity.kind == "shapes"
    images, labels = records.unpack(splits(source)["train"], 10, "train")
    assert images.std() > 10 and np.bincount(labels).tolist() == [5] * 10


def cut_in_a_record(folder):
    path = folder / "data_batch_3.bin"
    path.write_bytes(path.read_bytes()[: 40 - records.RECORD_BYTES])


def spoil_label(folder):
    path = folder / "data_batch_2.bin"
    content = bytearray(path.read_bytes())
    content[5 * records.RECORD_BYTES] = 200
    path.write_bytes(content)


def call_code(folder):
    (folder / "data_batch_4").write_bytes(b"cos\nsystem\n(S'touch called'\ntR.".ljust(RECORDS * 3072, b" "))


def wrong_shape(folder):
    data, labels = batch(0)
    rewrite_pickle(folder / "data_batch_1", {b"data": data.reshape(-1), b"labels": labels})


def too_few_labels(folder):
    data, labels = batch(0)
    rewrite_pickle(folder / "data_batch_1", {b"data": data, b"labels": labels[:-1]})


def label_of_another_set(folder):
    data, labels = batch(0)
    rewrite_pickle(folder / "data_batch_1", {b"data": data, b"labels": [*labels[:-1], 42]})


def foreign_classes(folder):
    (folder / "batches.meta.txt").write_text("beaver\ndolphin\n")


SPOILED = [
    (make_binary, cut_in_a_record, r"data_batch_3\.bin has 33,843 bytes: cut inside the record at byte 33803"),
    (make_binary, spoil_label, r"data_batch_2\.bin: label 200 at byte 15365; labels are 0 to 9"),
    (make_binary, lambda folder: (folder / "test_batch.bin").unlink(), r"test_batch\.bin missing"),
    (
        make_binary,
        lambda folder: shutil.copy(folder / "test_batch.bin", folder / "data_batch_7.bin"),
        r"batch_6\.bin missing",
    ),
    (make_binary, lambda folder: shutil.copy(folder / "test_batch.bin", folder / "data_batch_x.bin"), "is no batch of"),
    (make_binary, foreign_classes, r"label 9 at byte [0-9]+; labels are 0 to 1, as batches\.meta\.txt has 2 names"),
    (make_python, call_code, r"data_batch_4: not a pickle of plain arrays.*it calls os\.system"),
    (make_python, wrong_shape, "data_batch_1: its 'data' is not an array of images"),
    (make_python, too_few_labels, "data_batch_1: its 'labels' is not a list of 12 integers"),
    (make_python, label_of_another_set, "data_batch_1: label 42 of image 11"),
    (make_python, lambda folder: (folder / "data_batch_5").write_bytes(b""), "data_batch_5 has 0 bytes"),
]


@pytest.mark.parametrize("pack", [lambda folder: folder, make_archive], ids=["folder", "archive"])
@pytest.mark.parametrize("make, spoil, sentence", SPOILED)
def test_a_bad_batch_is_refused_and_nothing_is_left(make, spoil, sentence, pack, tmp_path):
    folder = make(tmp_path / "data")
    spoil(folder)
    with pytest.raises(DataError, match=sentence):
        prepare(pack(folder), tmp_path)
    assert not left_behind(tmp_path)


def test_a_truncated_or_damaged_archive_is_refused(tmp_path):
    path = make_archive(make_binary(tmp_path))
    content = path.read_bytes()
    for cut in (len(content) - 1, len(content) // 2, 30, 5):
        path.write_bytes(content[:cut])
        with pytest.raises(DataError, match="truncated archive; get a complete copy"):
            prepare(path, tmp_path)
    path.write_bytes(content[:-8] + b"\0\0\0\0" + content[-4:])
    with pytest.raises(DataError, match="a damaged archive"):
        prepare(path, tmp_path)
    assert not left_behind(tmp_path)


def write_archive(path, *members):
    """Makes a `.tar.gz` of (member's header, content) pairs."""
    with gzip.open(path, "wb", compresslevel=1) as file, tarfile.open(fileobj=file, mode="w") as archive:
        for header, content in members:
            archive.addfile(header, io.BytesIO(content))


def header(name, size=0, kind=tarfile.REGTYPE, link=""):
    info = tarfile.TarInfo(name)
    info.size, info.type, info.linkname = size, kind, link
    return info


BOMB = 40 << 20
MEMBERS = [
    (header("another/data_batch_1.bin", BATCH_BYTES), BLOCKS[0], "batch.bin missing"),
    (header("cifar-100-binary/train.bin", 10), bytes(10), "train.bin has 10 bytes: cut inside"),
    (header("cifar-10-batches-bin/data_batch_1.bin", BATCH_BYTES + 1), bytes(BATCH_BYTES + 1), "at byte 36876"),
    (header("cifar-10-batches-bin/data_batch_1.bin", kind=tarfile.SYMTYPE, link="/etc/passwd"), b"", "is a link"),
    (header("cifar-10-batches-bin/data_batch_1.bin", kind=tarfile.LNKTYPE, link="x"), b"", "is a link"),
    (header("cifar-10-batches-bin/pipe", kind=tarfile.FIFOTYPE), b"", "a link or a device"),
    (header("cifar-10-batches-bin/../../out.bin", 1), b"x", "points outside"),
    (header("/cifar-10-batches-bin/data_batch_1.bin", 1), b"x", "points outside"),
    (header("cifar-10-batches-bin/readme.html", BOMB), bytes(BOMB), "no CIFAR-10 or CIFAR-100 in this archive"),
    (header("pax", BOMB, tarfile.XHDTYPE), bytes(BOMB), "more than 4,096 bytes of headers"),
]


@pytest.mark.parametrize("info, content, sentence", MEMBERS)
def test_an_archive_with_a_bad_member_is_refused(info, content, sentence, tmp_path):
    path = tmp_path / "archive.tar.gz"
    write_archive(path, (info, content))
    with pytest.raises(DataError, match=sentence):
        prepare(path, tmp_path)
    assert not left_behind(tmp_path)


@pytest.mark.parametrize(
    "other, sentence",
    [("bin/test_batch", "'test_batch' is no batch of this layout"), ("py/test_batch", r"test_batch\.bin missing")],
)
def test_a_data_set_in_two_layouts_is_refused(other, sentence, tmp_path):
    path = tmp_path / "archive.tar.gz"
    members = ((header(f"cifar-10-batches-{name}", BATCH_BYTES), BLOCKS[0]) for name in ("bin/data_batch_1.bin", other))
    write_archive(path, *members)
    with pytest.raises(DataError, match=sentence):
        prepare(path, tmp_path)


def test_a_duplicate_batch_is_refused(tmp_path):
    path = tmp_path / "archive.tar.gz"
    member = (header("cifar-10-batches-bin/data_batch_1.bin", BATCH_BYTES), BLOCKS[0])
    write_archive(path, member, member)
    with pytest.raises(DataError, match="twice"):
        prepare(path, tmp_path)


@pytest.mark.parametrize(
    "content",
    [b"", b"plain text, no archive", gzip.compress(b"no tar inside" * 100, mtime=0), gzip.compress(b"", mtime=0)],
)
def test_a_file_that_is_not_an_archive_is_refused(content, tmp_path):
    path = tmp_path / "some.tar.gz"
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"some\.tar\.gz: "):
        prepare(path, tmp_path)


def test_a_missing_path_or_an_empty_folder_is_refused(tmp_path):
    with pytest.raises(DataError, match="nowhere: no such file or folder; --data takes the path of image folders"):
        prepare(tmp_path / "nowhere", tmp_path)
    with pytest.raises(
        DataError,
        match="holds nothing, but neither class folders with images nor CIFAR's files",
    ):
        prepare(tmp_path, tmp_path)
    assert not (tmp_path / "workspace").exists()
