"""Tables of images: which columns name what, and what is refused."""

import pytest
from image_folders import write_classes

from pipeline.config.settings import IngestConfig
from pipeline.sources.csv_file import list_images
from shiftvit.errors import DataError

NAMES = ("polar bear", "Übersicht")


@pytest.fixture
def images(tmp_path):
    write_classes(tmp_path / "photos", NAMES, count=20)
    return tmp_path


def rows(extra=""):
    return [f"photos/{name}/{number:04}.png,{name}{extra}" for name in NAMES for number in range(20)]


def write(folder, header, lines, encoding="utf-8"):
    path = folder / "labels.csv"
    path.write_text("\n".join([header, *lines]) + "\n", encoding)
    return path


@pytest.mark.parametrize("header", ["path,label", "filename,class", "Image, Class_Name".replace(" ", "")])
def test_columns_may_have_any_of_the_usual_names(images, header):
    listing = list_images(write(images, header, rows()), IngestConfig())
    assert listing.class_names == NAMES and listing.folder == images
    assert sum(map(len, listing.files.values())) == 40


def test_a_split_column_decides_and_other_columns_are_ignored(images):
    lines = [f"{row},{('train', 'val', 'test')[i % 3]},x" for i, row in enumerate(rows())]
    listing = list_images(write(images, "path,label,split,comment", lines), IngestConfig())
    assert {split: len(files) for split, files in listing.files.items()} == {"train": 14, "eval": 13, "test": 13}


def test_a_table_of_a_spreadsheet_is_read(images):
    listing = list_images(write(images, "path,label", rows(), "utf-8-sig"), IngestConfig())
    assert listing.class_names == NAMES


@pytest.mark.parametrize(
    "header, lines, message",
    [
        ("path,kind", rows(), r"labels.csv: has no column label or class or class_name; .* and has path, kind"),
        ("where,label", rows(), "labels.csv: has no column path or file or filename or image"),
        (
            "path,label",
            [*rows(), "photos/gone.png,polar bear"],
            "line 42: photos/gone.png cannot be read",
        ),
        ("path,label", [*rows(), "photos/polar bear/0000.png,"], "line 42: has no label; fill it in"),
        ("path,label", [*rows(), ",polar bear"], "line 42: has no path; fill it in"),
        ("path,label", [*rows(), rows()[3]], "line 42: photos/polar bear/0003.png is in line 5 already"),
        ("path,label", [*rows(), "photos,polar bear"], "line 42: photos is not a file"),
        ("path,label,split", rows(",dev"), "line 2: 'dev' is no split; the splits are train, eval, test"),
        ("path,label,split", rows(",train"), "no image is in the split eval or test; add some, or remove the column"),
        ("path,label", rows()[:20], "only the class polar bear"),
        ("path,label", [], "no image in a class"),
        ("", [], "labels.csv: has no column path"),
    ],
)
def test_a_wrong_table_is_refused_with_its_line(images, header, lines, message):
    with pytest.raises(DataError, match=message):
        list_images(write(images, header, lines), IngestConfig())


def test_a_file_that_is_no_text_is_refused(images):
    path = images / "labels.csv"
    path.write_bytes(b"path,label\n\xff\xfe,a\n")
    with pytest.raises(DataError, match=r"labels.csv: not UTF-8 text: byte 11 is 0x"):
        list_images(path, IngestConfig())
    with pytest.raises(DataError, match=r"gone.csv: cannot be read"):
        list_images(images / "gone.csv", IngestConfig())
