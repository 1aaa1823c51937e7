"""What `shiftvit data` tells about a source of image files."""

import json
import xml.etree.ElementTree as ElementTree

import pytest
from image_folders import picture, write_classes
from photos import encode, turned
from PIL import Image

from pipeline.cli.main import main

NAMES = ("cat", "polar bear", "Übersicht")


@pytest.fixture
def folder(tmp_path):
    """Class folders with two sizes, modes and formats, a duplicate, one image in two classes and two litter files."""
    folder = write_classes(tmp_path / "images", NAMES, count=30)
    (folder / "cat/wide.jpg").write_bytes(turned(picture(0, 99, (80, 40)), 6, "JPEG"))
    (folder / "cat/grey.gif").write_bytes(encode(Image.new("L", (10, 10), 90), "GIF"))
    (folder / "cat/again.png").write_bytes((folder / "cat/0000.png").read_bytes())
    (folder / "Übersicht/wrong.png").write_bytes((folder / "cat/0001.png").read_bytes())
    (folder / "cat/page.webp").write_text("<html></html>")
    (folder / "cat/notes.txt").write_text("")
    (folder / ".DS_Store").write_text("")
    return folder


def data(folder, tmp_path, capsys, *options):
    assert main(["data", "--data", str(folder), "--workspace", str(tmp_path / "workspace"), *options]) == 0
    return capsys.readouterr().out


def test_counts_sizes_formats_and_duplicates_are_shown(folder, tmp_path, capsys):
    out = data(folder, tmp_path, capsys)

    assert "classes        3: cat, polar bear, Übersicht" in out
    assert "10x10 to 80x40, median 24x24; stored as 64x64 (crop)" in out
    assert "formats        PNG RGB 92, " in out and "JPEG RGB 1" in out and "GIF " in out
    assert "duplicates     2, such as " in out and "in two classes 1, such as " in out
    assert "hidden or system files: 1" in out and "files of other kinds: 1" in out
    assert "no images      cat/page.webp: not a PNG" in out


def test_json_has_the_same_facts(folder, tmp_path, capsys):
    facts = json.loads(data(folder, tmp_path, capsys, "--json"))

    assert sum(map(sum, facts["class_counts"].values())) == 94
    assert sum(counts[0] for counts in facts["class_counts"].values()) == 33
    assert facts["duplicates"] == 2 and facts["in_two_classes"] == 1
    assert [line.partition(":")[0] for line in facts["not_images"]] == ["cat/page.webp"]


def test_twelve_samples_of_all_classes_are_in_the_picture(folder, tmp_path, capsys):
    facts = json.loads(data(folder, tmp_path, capsys, "--json"))

    svg = ElementTree.parse(facts["samples"]).getroot()
    names = [text.text for text in svg.iter("{http://www.w3.org/2000/svg}text")]
    assert len(list(svg.iter("{http://www.w3.org/2000/svg}image"))) == len(names) == 12
    assert set(names) == set(NAMES)


def test_binary_records_are_summarised_too(tmp_path, capsys):
    counts = [f"--set=shapes.{split}=20" for split in ("train", "eval", "test")]
    assert main(["data", "--json", "--workspace", str(tmp_path), *counts]) == 0

    facts = json.loads(capsys.readouterr().out)
    assert facts["class_counts"]["train"] == [2] * 10 and facts["sizes"] == ["32x32"] * 3
    assert facts["forms"] == {"raw RGB": 60} and facts["duplicates"] == 0


def test_file_with_a_broken_header_is_listed_with_the_reason_that_ingestion_gives(folder, tmp_path, capsys):
    (folder / "cat/page.webp").unlink()
    (folder / "cat/broken.jpg").write_bytes(b"\xff\xd8\xff no image")

    out = data(folder, tmp_path, capsys)

    assert "no images      cat/broken.jpg: a damaged JPEG image (its header cannot be read)" in out
