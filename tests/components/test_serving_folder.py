import contextlib
import json
import os
import subprocess
import sys

import pytest

from components import serving_folder
from components.serving_folder import Origin, hold_newest, numbers, publish, read_origin
from shiftvit.files import atomic

FILES = 100  # of a large model, so that copying takes a while
PUBLISH = """
import sys
from pathlib import Path
from components.serving_folder import Origin, publish
source, base, uri = sys.argv[1:]
print("begins", flush=True)
publish(Path(source), Path(base), Origin(model=uri, keep=9), at_least=10 + int(10 * float(uri)))
"""


def make_model(folder, content="model"):
    """Writes a folder that looks like a SavedModel."""
    (folder / "variables").mkdir(parents=True)
    (folder / "saved_model.pb").write_text(content)
    (folder / "variables" / "variables.index").write_text(content * 2)
    return folder


@pytest.fixture
def model(tmp_path):
    return make_model(tmp_path / "model")


@pytest.fixture
def base(tmp_path):
    return tmp_path / "serving"


def push(model, base, uri, keep=3, at_least=0):
    return publish(model, base, Origin(model=uri, keep=keep), at_least)


def contents(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_version_is_a_copy_with_its_origin(model, base):
    assert push(model, base, "artifacts/7", at_least=1000) == (1000, True)

    version = base / "1000"
    origin = json.loads((version / "assets.extra" / "origin.json").read_text())
    assert origin == {"model": "artifacts/7", "rollback_of": None, "keep": 3}
    assert read_origin(version) == Origin(model="artifacts/7", keep=3) and read_origin(model) == Origin()
    assert contents(version).items() - contents(model).items() == {
        ("assets.extra/origin.json", (version / "assets.extra" / "origin.json").read_bytes())
    }
    assert contents(model).items() <= contents(version).items()
    assert [path.name for path in base.iterdir()] == ["1000"]


def test_new_version_always_has_the_highest_number(model, base):
    for uri, at_least, number in (("a", 1000, 1000), ("b", 1000, 1001), ("c", 900, 1002), ("d", 2000, 2000)):
        assert push(model, base, uri, at_least=at_least) == (number, True)
    (base / "3000").mkdir()

    assert push(model, base, "e", at_least=2500) == (3001, True), "a server would load 3000"


def test_only_numbered_folders_with_a_model_are_versions(model, base):
    push(model, base, "a", at_least=7)
    for name in ("latest", "007", ".9.12345678.partial", "٣"):
        make_model(base / name)
    (base / "8").mkdir()

    assert numbers(base) == [7]
    assert numbers(base / "absent") == []


def test_same_model_is_not_pushed_twice(model, base):
    assert push(model, base, "a", at_least=5) == (5, True)
    assert push(model, base, "b", at_least=6) == (6, True)

    assert push(model, base, "a", at_least=7) == (5, False)
    assert numbers(base) == [6, 5]


def test_changed_model_of_the_same_uri_is_pushed(model, base, tmp_path):
    push(model, base, "a", at_least=5)
    changed = make_model(tmp_path / "changed", "other")
    more = make_model(tmp_path / "more")
    (more / "assets").mkdir()
    (more / "assets" / "names").write_text("")

    assert push(changed, base, "a") == (6, True)
    assert push(more, base, "a") == (7, True)


def test_rollback_does_not_count_as_a_push(model, base):
    push(model, base, "a", at_least=5)
    assert publish(base / "5", base, Origin(rollback_of=5, keep=3)) == (6, True)

    assert read_origin(base / "6") == Origin(rollback_of=5, keep=3)
    assert push(model, base, "a") == (5, False)


def test_only_the_newest_versions_are_kept(model, base):
    for number in range(1, 7):
        push(model, base, str(number), keep=3, at_least=number)

    assert sorted(path.name for path in base.iterdir()) == ["4", "5", "6"]
    push(model, base, "6", keep=2)
    assert numbers(base) == [6, 5], "a smaller number applies even without a new version"


def test_held_version_is_removed_after_its_release(model, base):
    for number in (1, 2):
        push(model, base, str(number), keep=2, at_least=number)
    with atomic.hold(base / "1"):
        for number in (3, 4):
            push(model, base, str(number), keep=2)
        assert numbers(base) == [4, 3, 1]

    push(model, base, "5", keep=2)
    assert numbers(base) == [5, 4]


def test_version_that_cannot_be_removed_does_not_fail_the_push(model, base, monkeypatch, caplog):
    for number in (1, 2):
        push(model, base, str(number), keep=2, at_least=number)
    monkeypatch.setattr(atomic.os, "open", refuse(base / "1"))

    assert push(model, base, "3", keep=2) == (3, True)
    assert f"{base}/1 is outdated but cannot be removed" in caplog.text


def refuse(refused):
    """Returns an `os.open` that refuses this path."""
    original = os.open

    def open_other(path, *arguments):
        if path == refused:
            raise PermissionError(13, "Permission denied", str(path))
        return original(path, *arguments)

    return open_other


def test_hold_newest_tries_again_if_the_version_is_removed_meanwhile(model, base, monkeypatch):
    push(model, base, "a", at_least=1)
    with hold_newest(base / "absent") as nothing:
        assert nothing is None
    list_numbers = serving_folder.numbers

    def push_two_after_listing(folder):
        existing = list_numbers(folder)
        monkeypatch.setattr(serving_folder, "numbers", list_numbers)
        for uri in ("b", "c"):
            push(model, base, uri, keep=1)
        return existing

    monkeypatch.setattr(serving_folder, "numbers", push_two_after_listing)
    with hold_newest(base) as version:
        assert version == base / "3" and not atomic.remove(version)


def test_failed_copy_leaves_nothing(model, base):
    push(model, base, "a", at_least=1)
    (model / "assets").symlink_to("nowhere")

    with pytest.raises(serving_folder.shutil.Error):
        push(model, base, "b")
    assert [path.name for path in base.iterdir()] == ["1"]


def test_killed_push_leaves_no_partial_version_and_the_next_push_cleans_up(base, tmp_path):
    source = make_model(tmp_path / "large")
    for number in range(FILES):
        (source / "variables" / f"part-{number}").write_text(str(number))
    push(make_model(tmp_path / "small"), base, "small", at_least=1)
    leftovers = []
    for share in (0.0, 0.2, 0.4, 0.6, 0.8, 1.0):
        kill_while_publishing(source, base, share)
        assert {path.name for path in base.iterdir() if path.name.isdecimal()} == set(map(str, numbers(base)))
        assert numbers(base)[-1] == 1
        for number in numbers(base)[:-1]:
            assert contents(base / str(number)).items() >= contents(source).items()
        leftovers += [path.name for path in base.iterdir() if path.name.startswith(".")]

    assert leftovers, "no push was killed while copying"
    number, _ = push(source, base, "large")
    assert contents(base / str(number)).items() >= contents(source).items()
    assert not [path.name for path in base.iterdir() if path.name.startswith(".")]


def kill_while_publishing(source, base, share):
    """Kills a push once this share of the files is copied, or a little later."""
    with subprocess.Popen([sys.executable, "-c", PUBLISH, source, base, str(share)], stdout=subprocess.PIPE) as process:
        assert process.stdout.readline()
        while process.poll() is None and copied(base) <= share * FILES:
            pass
        process.kill()


def copied(base):
    """Returns the number of files in the incomplete copy."""
    with contextlib.suppress(FileNotFoundError):  # the leftovers of an earlier push, just removed
        return max((len(list(folder.iterdir())) for folder in base.glob(".*.partial/variables")), default=0)
    return 0
