import errno
import sys

import pytest

from pipeline.config.settings import PipelineConfig, ShapesConfig
from pipeline.runners.local import launch, process
from pipeline.runs import run_folder
from pipeline.sources.prepare import prepare
from shiftvit.errors import DiskFullError
from shiftvit.files import disk

SEND_ERROR = """
import json, os, sys
os.write(int(sys.argv[-1]), json.dumps({"event": "error", "message": "no", "exit_code": 1}).encode() + bytes([10]))
"""


@pytest.mark.parametrize("foreseen", [True, False])
def test_full_disk_leaves_no_partial_source(small_disk, foreseen, monkeypatch):
    """Whether the check of free space foresees it, or the disk fills up while the source is written."""

    def make_source():
        counts = ShapesConfig(train=800, eval=100, test=100)
        return prepare(PipelineConfig(source="shapes", workspace=str(small_disk.folder), shapes=counts))

    if not foreseen:
        monkeypatch.setattr(disk, "_free_bytes", lambda folder: 2**40)
    with small_disk.filled(left=1_000_000), pytest.raises(DiskFullError, match=r"3\.1 MB are needed for the source"):
        make_source()

    assert small_disk.files() == []
    assert make_source().identity.counts["train"] == 800


def test_run_does_not_start_without_space_for_its_folder(small_disk):
    with (
        small_disk.filled(left=0),
        pytest.raises(DiskFullError, match=small_disk.refusal("the run's folder")) as caught,
    ):
        run_folder.create(PipelineConfig(workspace=str(small_disk.folder)))

    assert caught.value.exit_code == 1


def test_unwritable_outcome_is_added_to_the_message(small_disk):
    folder = run_folder.create(PipelineConfig(workspace=str(small_disk.folder)))
    with small_disk.filled(left=0):
        outcome = launch.execute(folder, lambda event: None, [sys.executable, "-c", SEND_ERROR])

    assert outcome.message == f"no ({folder.outcome} was not written: No space left on device)"


@pytest.fixture
def folder(tmp_path):
    return run_folder.create(PipelineConfig(workspace=str(tmp_path)))


def raised(error, while_handling):
    """Returns `error` as if it was raised while the other was handled."""
    error.__context__ = while_handling
    return error


def test_component_error_is_found_behind_the_failure_to_record_it(folder):
    known = DiskFullError("there is no room")
    assert process.explain(raised(RuntimeError("database or disk is full"), known), folder, "Trainer") is known


@pytest.mark.parametrize(
    "words", ["/a; No space left on device [while running b]", "Error when executing query: database or disk is full"]
)
def test_full_disk_is_explained_whichever_library_raises(words, folder, tmp_path):
    error = raised(ValueError("something else"), RuntimeError(words))

    explained = process.explain(error, folder, "StatisticsGen")

    assert isinstance(explained, DiskFullError)
    assert str(explained).startswith(f"{tmp_path}: the disk is full: StatisticsGen ran out of space, and ")


def test_unexplained_error_keeps_its_traceback(folder):
    assert process.explain(ValueError("disk"), folder, "Trainer") is None


def test_full_folder_for_temporary_files_is_the_one_that_is_named(folder, small_disk, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(small_disk.folder))
    error = OSError(errno.ENOSPC, "No space left on device")

    with small_disk.filled(left=0):
        assert str(process.explain(error, folder, "Trainer")).startswith(
            f"{small_disk.folder}: the disk is full: Trainer"
        )
