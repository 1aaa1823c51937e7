"""Class names as people write them: one a line, in strict UTF-8, spaces kept."""

import json
import re

import pytest
from cifar100_files import make_own_binary, make_own_python
from cifar_files import left_behind, make_archive, prepare, rewrite_pickle

from pipeline.config import config_file
from pipeline.config.settings import IngestConfig, PipelineConfig
from pipeline.runners.kubeflow import pipeline_file
from pipeline.sources.csv_file import list_images
from shiftvit.config import to_dict
from shiftvit.errors import ConfigError, DataError

NAMES = ("polar bear", "sea lion", "brown  bear", "fur seal", "blåhval 鯨")
BOM = b"\xef\xbb\xbf"
NOT_UTF8 = {  # bytes, and the offset and value of the first wrong one
    "Latin-1": ("cat\ncafé\ndog\n".encode("latin-1"), 7, "0xe9"),
    "Windows": ("cat\ndog €\n".encode("cp1252"), 8, "0x80"),
    "UTF-16": ("cat\ndog\n".encode("utf-16"), 0, "0xff"),
    "GBK after a mark": (BOM + "cat\n狗\n".encode("gbk"), 7, "0xb9"),
    "surrogates": (b"cat\n\xed\xa0\x80", 4, "0xed"),
    "overlong": (b"c\xc0\xae", 1, "0xc0"),
    "cut": ("cat\n猫".encode()[:-1], 4, "0xe7"),
}


@pytest.mark.parametrize("pack", [lambda folder: folder, make_archive], ids=["folder", "archive"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("mark", [b"", BOM])
def test_names_of_two_words_stay_one_name(mark, end, pack, tmp_path):
    folder = make_own_binary(tmp_path / "zoo")
    (folder / "batches.meta.txt").write_bytes(mark + (end.join(NAMES) + end * 2).encode())

    assert prepare(pack(folder), tmp_path).identity.class_names == NAMES


@pytest.mark.parametrize("pack", [lambda folder: folder, make_archive], ids=["folder", "archive"])
@pytest.mark.parametrize("content, offset, byte", NOT_UTF8.values(), ids=NOT_UTF8)
def test_other_encodings_are_refused_with_the_offset(content, offset, byte, pack, tmp_path):
    folder = make_own_binary(tmp_path / "zoo")
    (folder / "batches.meta.txt").write_bytes(content)

    with pytest.raises(DataError, match=rf"batches\.meta\.txt: not UTF-8 text: byte {offset} is {byte}; save"):
        prepare(pack(folder), tmp_path)
    assert not left_behind(tmp_path)


def test_a_pickled_name_of_another_encoding_is_refused(tmp_path):
    folder = make_own_python(tmp_path / "zoo")
    rewrite_pickle(folder / "batches.meta", {b"label_names": [b"cat", b"polar bear", "café".encode("latin-1")]})

    with pytest.raises(DataError, match=re.escape(r"class name b'caf\xe9': not UTF-8 text: byte 3 is 0xe9")):
        prepare(folder, tmp_path)


@pytest.mark.parametrize("content, offset, byte", NOT_UTF8.values(), ids=NOT_UTF8)
def test_tables_and_configurations_of_other_encodings_are_refused_with_the_offset(content, offset, byte, tmp_path):
    filler = b"x" * 20_000 + b"\n"  # longer than the blocks in which files are read
    path = tmp_path / "file.csv"
    path.write_bytes(filler + content)
    place = rf"file\.csv: not UTF-8 text: byte {len(filler) + offset} is {byte}"

    with pytest.raises(DataError, match=place):
        list_images(path, IngestConfig())
    for load in (config_file.load, pipeline_file.load):
        with pytest.raises(ConfigError, match=place):
            load(path)


def test_a_configuration_of_a_windows_editor_is_read(tmp_path):
    path, config = tmp_path / "config.json", PipelineConfig(workspace="café 猫")
    text = json.dumps(to_dict(config), indent=2, ensure_ascii=False).replace("\n", "\r\n")
    path.write_bytes(BOM + text.encode())

    assert config_file.load(path) == config


def test_a_compiled_pipeline_of_a_windows_editor_is_read(tmp_path):
    path = tmp_path / "pipeline.yaml"
    path.write_bytes(BOM + b"pipelineInfo:\r\n  name: shiftvit\r\nroot: {}\r\n")

    assert pipeline_file.load(path).spec["pipelineInfo"] == {"name": "shiftvit"}
