import sys

import pytest

from pipeline.config.settings import PipelineConfig, ShapesConfig
from pipeline.runners.local import launch, process
from pipeline.runs import run_folder
from pipeline.sources.prepare import prepare
from shiftvit.errors import DiskFullError
from shiftvit.files import disk

TELL = """
import json, os, sys
os.write(int(sys.argv[-1]), json.dumps({"event": "error", "message": "no", "exit_code": 1}).encode() + bytes([10]))
"""


@pytest.mark.parametrize("seen", [True, False])
def test_a_source_is_whole_or_not_there(small_disk, seen, monkeypatch):
    """Also where it was not seen in the beginning that there is no room."""

    def make_source():
        pictures = ShapesConfig(train=800, eval=100, test=100)
        return prepare(PipelineConfig(source="shapes", workspace=str(small_disk.folder), shapes=pictures))

    if not seen:
        monkeypatch.setattr(disk, "_free", lambda folder: 2**40)
    with small_disk.filled(left=1_000_000), pytest.raises(DiskFullError, match=r"3\.1 MB are needed for the source"):
        make_source()

    assert small_disk.files() == []
    assert make_source().counts["train"] == 800


def test_a_run_does_not_begin_without_room_for_its_folder(small_disk):
    with (
        small_disk.filled(left=0),
        pytest.raises(DiskFullError, match=small_disk.refusal("the run's folder")) as caught,
    ):
        run_folder.create(PipelineConfig(workspace=str(small_disk.folder)))

    assert caught.value.exit_code == 1


def test_what_cannot_be_recorded_of_a_run_is_told(small_disk):
    folder = run_folder.create(PipelineConfig(workspace=str(small_disk.folder)))
    with small_disk.filled(left=0):
        outcome = launch.execute(folder, lambda event: None, [sys.executable, "-c", TELL])

    assert outcome.message == f"no ({folder.outcome} was not written: No space left on device)"


def raised(error, while_handling):
    """Returns `error` as it is when it was raised while the other was handled."""
    error.__context__ = while_handling
    return error


def test_what_a_component_said_is_told_though_ml_metadata_could_not_be_told(tmp_path):
    known = DiskFullError("there is no room")
    assert process.explain(raised(RuntimeError("database or disk is full"), known), str(tmp_path), "Trainer") is known


@pytest.mark.parametrize(
    "words", ["/a; No space left on device [while running b]", "Error when executing query: database or disk is full"]
)
def test_a_disk_that_is_full_is_told_whoever_met_it(words, tmp_path):
    error = raised(ValueError("something else"), RuntimeError(words))

    told = process.explain(error, str(tmp_path), "StatisticsGen")

    assert isinstance(told, DiskFullError)
    assert str(told).startswith(f"{tmp_path}: the disk is full: StatisticsGen could not write on, and ")


def test_another_failure_keeps_its_traceback(tmp_path):
    assert process.explain(ValueError("disk"), str(tmp_path), "Trainer") is None
