"""What `--data PATH` finds out by itself, and the preset that follows."""

import pytest
from cifar100_files import make_cifar100_binary
from cifar_files import make_archive, make_binary
from image_folders import write_classes

from pipeline.cli.main import make_parser
from pipeline.cli.options import resolve
from pipeline.sources.detect import kind_of
from shiftvit.errors import ConfigError, DataError


def split_folders(folder):
    for split in ("train", "val", "test"):
        write_classes(folder / split, ("a", "b"), count=1)
    return folder


def table(folder):
    folder.mkdir()
    (folder / "labels.CSV").write_text("path,label\n")
    return folder / "labels.CSV"


MADE = {
    "class folders": (lambda folder: write_classes(folder, ("a", "b"), count=1), "folder", "images"),
    "split folders": (split_folders, "folder", "images"),
    "a table": (table, "csv", "images"),
    "CIFAR-10": (make_binary, "cifar", "quickstart"),
    "CIFAR-100": (make_cifar100_binary, "cifar", "quickstart"),
    "an archive": (lambda folder: make_archive(make_binary(folder)), "cifar", "quickstart"),
}


@pytest.mark.parametrize("make, kind, preset", MADE.values(), ids=MADE)
def test_the_kind_of_a_path_and_its_preset_are_found(make, kind, preset, tmp_path):
    path = make(tmp_path / "data")

    assert kind_of(path) == kind
    assert resolve(make_parser().parse_args(["run", "--data", str(path)])).preset == preset
    assert resolve(make_parser().parse_args(["run", "--data", str(path), "--preset", "cifar10"])).preset == "cifar10"


@pytest.mark.parametrize("source", ["folder:photos", "csv:labels.csv", "tfds:mnist"])
def test_a_prefix_decides_without_a_look_at_the_disk(source):
    assert resolve(make_parser().parse_args(["run", "--data", source])).preset == "images"


def test_what_fits_nothing_is_described(tmp_path):
    for name in "fedcba":
        (tmp_path / "other" / name).mkdir(parents=True)
    with pytest.raises(DataError, match=r"other: holds a/, b/, c/, d/, e/ and 1 more, but neither class folders"):
        kind_of(tmp_path / "other")
    (tmp_path / "photo.png").write_bytes(b"")
    with pytest.raises(DataError, match=r"photo\.png: neither an archive .* nor a CSV file"):
        kind_of(tmp_path / "photo.png")
    with pytest.raises(DataError, match=r"gone: no such file or folder; --data takes"):
        kind_of(tmp_path / "gone")


def test_the_preset_images_needs_images():
    with pytest.raises(ConfigError, match="preset images needs your images: --data PATH"):
        resolve(make_parser().parse_args(["run", "--preset", "images"]))
