"""Names that no library takes for a pattern."""

import os
import subprocess

import pytest
from odd_names import NAMES, REFUSED

from shiftvit.errors import ConfigError
from shiftvit.files import paths


@pytest.mark.parametrize("name", NAMES)
def test_every_legal_name_has_a_plain_one(name, tmp_path):
    folder = tmp_path / name / "work" / name
    folder.mkdir(parents=True)
    (folder / "inner").mkdir()

    plain = paths.plain(folder / "inner")

    assert os.path.samefile(plain, folder / "inner") and set(plain).isdisjoint(r"*?[]{}\\")
    assert paths.real(f"in {plain}/x.") == f"in {folder}/inner/x."
    assert plain == paths.plain(folder) + "/inner", "a folder takes one descriptor, whatever is asked for in it"
    paths.check(folder, "--workspace")


def test_other_names_stay_and_so_do_addresses(tmp_path):
    for path in (str(tmp_path), "workspace/models", "s3://bucket/[x]", ""):
        assert paths.plain(path) == path
    assert paths.real("/proc/1/fd/99999") == "/proc/1/fd/99999"


def test_a_folder_that_was_replaced_has_a_new_name(tmp_path):
    folder = tmp_path / "[x]"
    folder.mkdir()
    first = paths.plain(folder)
    folder.rmdir()
    folder.mkdir()
    (folder / "file").touch()

    assert os.listdir(paths.plain(folder)) == ["file"] and os.listdir(first) == []


def test_a_child_process_can_use_the_name(tmp_path):
    folder = tmp_path / "[x]"
    folder.mkdir()
    (folder / "file").touch()

    assert subprocess.run(["ls", paths.plain(folder)], capture_output=True, text=True).stdout == "file\n"


def test_a_name_that_does_not_exist_is_an_error_of_the_system(tmp_path):
    with pytest.raises(FileNotFoundError):
        paths.plain(tmp_path / "[x]" / "y")


@pytest.mark.parametrize("name", REFUSED)
def test_characters_that_cannot_work_are_named(name, tmp_path, monkeypatch):
    with pytest.raises(ConfigError) as caught:
        paths.check(tmp_path / name / "x", "--workspace")
    message = str(caught.value)
    assert message.startswith(f"--workspace: the character {name[1]!a} in ") and message.isprintable()
