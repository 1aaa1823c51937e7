"""Folders of images: which files belong to which class and split, and what is refused."""

import os
import shutil
import tempfile
from pathlib import Path

import pytest
from image_folders import write_classes

from pipeline.config.settings import IngestConfig
from pipeline.sources.detect import kind_of
from pipeline.sources.image_folder import list_images
from shiftvit.errors import DataError

NAMES = ("polar bear", "Übersicht", "cat")


@pytest.fixture
def folder(tmp_path):
    return write_classes(tmp_path / "images", NAMES, count=40)


def splits(listing):
    return {split: {file.path for file in files} for split, files in listing.files.items()}


def test_every_image_is_in_one_split_with_the_class_of_its_folder(folder):
    listing = list_images(folder, IngestConfig())

    assert listing.class_names == ("cat", "polar bear", "Übersicht")
    files = [file for part in listing.files.values() for file in part]
    assert {file.path for file in files} == {f"{name}/{number:04}.png" for name in NAMES for number in range(40)}
    assert len(files) == 120 and all(file.path.startswith(f"{file.class_name}/") for file in files)
    for part in listing.files.values():
        assert {file.class_name for file in part} == set(NAMES)


def test_added_and_removed_files_leave_the_others_in_their_splits(folder):
    before = splits(list_images(folder, IngestConfig()))
    for name in NAMES:
        (folder / name / "0007.png").unlink()
        for number in range(60):
            shutil.copy(folder / name / "0001.png", folder / name / f"new{number}.png")

    after = splits(list_images(folder, IngestConfig()))

    for split, paths in before.items():
        assert {path for path in paths if not path.endswith("0007.png")} <= after[split]


def test_shares_and_seed_of_the_splits_can_be_set(tmp_path):
    folder = write_classes(tmp_path / "images", NAMES[:2], count=400, size=(1, 1))
    listing = list_images(folder, IngestConfig(eval_share=0.25, test_share=0.5))

    for class_name in NAMES[:2]:
        counts = {split: sum(f.class_name == class_name for f in files) for split, files in listing.files.items()}
        assert counts["test"] == pytest.approx(200, abs=40) and counts["eval"] == pytest.approx(100, abs=35)
    assert splits(listing) != splits(list_images(folder, IngestConfig(eval_share=0.25, test_share=0.5, split_seed=1)))


def test_a_class_of_three_images_is_in_every_split(tmp_path):
    folder = write_classes(tmp_path / "images", NAMES, count=3)
    for part in list_images(folder, IngestConfig()).files.values():
        assert {file.class_name for file in part} == set(NAMES)


@pytest.mark.parametrize("name", ["eval", "val", "valid", "Validation"])
def test_split_folders_are_used_as_they_are(folder, tmp_path, name):
    for split in ("train", name, "test"):
        write_classes(tmp_path / "split" / split, NAMES, count=2)

    listing = list_images(tmp_path / "split", IngestConfig())

    assert {split: len(files) for split, files in listing.files.items()} == {"train": 6, "eval": 6, "test": 6}
    assert all(file.path.startswith(name) for file in listing.files["eval"])


def test_classes_with_numbers_are_in_numeric_order(tmp_path):
    names = [str(number) for number in range(12)]
    assert list_images(write_classes(tmp_path, names, count=3), IngestConfig()).class_names == tuple(names)


def test_files_in_further_folders_and_behind_links_belong_to_the_class(folder, tmp_path):
    shutil.move(folder / "cat", tmp_path / "elsewhere")
    (folder / "cat").symlink_to(tmp_path / "elsewhere")
    (folder / "polar bear" / "more").mkdir()
    (folder / "polar bear" / "0000.png").rename(folder / "polar bear/more/0000.png")

    listing = list_images(folder, IngestConfig())

    assert sum(map(len, listing.files.values())) == 120
    assert any(file.path == "polar bear/more/0000.png" for files in listing.files.values() for file in files)


def test_a_file_whose_name_is_no_text_is_an_image_like_others(folder):
    path = os.fsencode(folder / "cat") + b"/\xff.png"
    os.rename(folder / "cat/0000.png", path)

    listing = list_images(folder, IngestConfig())

    assert len(listing.checksum()) == 64
    assert [f.path for files in listing.files.values() for f in files if "\udcff" in f.path] == ["cat/\udcff.png"]


def test_hidden_files_and_other_litter_are_skipped_and_counted(folder):
    before = list_images(folder, IngestConfig())
    (folder / ".ipynb_checkpoints").mkdir()
    (folder / ".ipynb_checkpoints" / "0000.png").write_bytes(b"")
    (folder / "cat" / ".DS_Store").write_bytes(b"")
    (folder / "cat" / "Thumbs.db").write_bytes(b"")
    (folder / "cat" / "notes.txt").write_text("")
    (folder / "readme.md").write_text("")

    after = list_images(folder, IngestConfig())

    assert after.files == before.files and after.class_names == before.class_names
    assert after.skipped == {"hidden or system files": 3, "files of other kinds": 1, "files outside class folders": 1}


def test_checksum_changes_with_the_files_and_settings_but_not_with_the_place(folder, tmp_path):
    checksum = list_images(folder, IngestConfig()).checksum(64, "crop")
    folder.rename(tmp_path / "moved")
    assert list_images(tmp_path / "moved", IngestConfig()).checksum(64, "crop") == checksum
    assert list_images(tmp_path / "moved", IngestConfig()).checksum(32, "crop") != checksum
    (tmp_path / "moved/cat/0000.png").write_bytes(b"changed")
    assert list_images(tmp_path / "moved", IngestConfig()).checksum(64, "crop") != checksum


@pytest.fixture
def open_folder():
    """A folder that every user can reach."""
    with tempfile.TemporaryDirectory(prefix="shiftvit-") as name:
        Path(name).chmod(0o755)
        yield Path(name)


@pytest.mark.parametrize("read", [kind_of, lambda path: list_images(path, IngestConfig())])
def test_a_folder_without_permission_is_refused(open_folder, read):
    write_classes(open_folder, NAMES, count=3)
    (open_folder / "cat").chmod(0)
    user = os.geteuid()
    try:
        if user == 0:  # whom no permission stops
            os.seteuid(65534)
        with pytest.raises(DataError, match=r"/cat: cannot be read \(Permission denied\)"):
            read(open_folder)
    finally:
        os.seteuid(user)


def no_folder(folder):
    shutil.rmtree(folder)


def empty(folder):
    no_folder(folder)
    folder.mkdir()


def one_class(folder):
    for name in NAMES[1:]:
        shutil.rmtree(folder / name)


def class_without_images(folder):
    (folder / "dog").mkdir()
    (folder / "dog" / "notes.txt").write_text("")


def names_alike(folder):
    shutil.copytree(folder / "cat", folder / "Cat")


def loop(folder):
    (folder / "cat" / "again").symlink_to(folder)


def dangling(folder):
    (folder / "cat" / "gone.png").symlink_to(folder / "nowhere.png")


def two_images(folder):
    for number in range(2, 40):
        (folder / "cat" / f"{number:04}.png").unlink()


def missing_split(folder):
    inner = folder.with_name("inner")
    folder.rename(inner)
    folder.mkdir()
    shutil.copytree(inner, folder / "test")
    inner.rename(folder / "train")


def missing_class(folder):
    missing_split(folder)
    shutil.copytree(folder / "train", folder / "val")
    shutil.rmtree(folder / "val" / "cat")


def not_utf8(folder):
    os.mkdir(os.fsencode(folder) + b"/\xff\xfe")


@pytest.mark.parametrize(
    "spoil, message",
    [
        (no_folder, "images: no such folder"),
        (empty, "images: no PNG, JPEG, BMP, GIF or WebP files in class folders; expected PATH/CLASS/IMAGE"),
        (one_class, "images: only the class polar bear; a classifier needs images of at least two classes"),
        (class_without_images, "images/dog: holds no PNG"),
        (names_alike, "the classes Cat and cat differ only in case; merge or rename one"),
        (loop, "images/cat/again/cat: a link to a folder that contains it; remove the link"),
        (dangling, "images/cat/gone.png: not a file, or a link that leads nowhere"),
        (two_images, "class cat has no image in the split"),
        (missing_split, r"images: has split folders \(test, train\), but none for eval; add it"),
        (missing_class, "class cat has no image in the split eval"),
        (not_utf8, r"is no class name; rename it"),
    ],
)
def test_what_cannot_be_used_is_refused_in_one_sentence(folder, spoil, message):
    spoil(folder)
    with pytest.raises(DataError, match=message) as error:
        list_images(folder, IngestConfig())
    assert "\n" not in str(error.value) and str(error.value).isprintable()
