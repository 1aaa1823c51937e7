"""A disk that is full, for real: a file system of a few megabytes in memory."""

import dataclasses
import errno
import os

import pytest
import trainings

from shiftvit import train
from shiftvit.config import ModelConfig
from shiftvit.errors import DiskFullError, UserError
from shiftvit.files import atomic, disk

# Of 0.2 million parameters: a state of 0.8 MB, thrice.
MODEL = ModelConfig(patch_size=8, dims=(128, 128), depths=(1, 1), n_div=4, drop_path=0.0)
TRAINED = dataclasses.replace(trainings.experiment(epochs=2), model=MODEL)
STATE = "the state of the training"


def fit(examples, folder):
    """Trains, and returns which epochs that took."""
    files = [[f"{examples}/Split-{split}/*"] for split in ("train", "eval")]
    return train.train(TRAINED, *files, resume_dir=str(folder / "resume")).history.epoch


@pytest.mark.slow
def test_a_training_that_fills_the_disk_keeps_its_last_state_and_goes_on(small_disk, drawn_examples, monkeypatch):
    """It has room for one state, and the next is too much, though that was not seen in the beginning."""
    monkeypatch.setattr(disk, "_free", lambda folder: 2**40)
    with small_disk.filled(left=3_000_000), pytest.raises(DiskFullError, match=STATE):
        fit(drawn_examples, small_disk.folder)

    assert {name.partition(".")[0] for name in small_disk.files("resume/state")} == {"checkpoint", "ckpt-1"}
    assert fit(drawn_examples, small_disk.folder) == [1]


def test_no_room_for_a_training_is_told_before_it_begins(small_disk, drawn_examples):
    with small_disk.filled(left=3_000_000), pytest.raises(DiskFullError, match=small_disk.refusal(STATE)):
        fit(drawn_examples, small_disk.folder)

    assert small_disk.files() == []


def test_a_file_keeps_its_content_where_the_new_one_has_no_room(small_disk):
    file = small_disk.folder / "file"
    atomic.write_file(file, "old")
    with small_disk.filled(left=0), pytest.raises(OSError, match="No space left"):
        atomic.write_file(file, "new" * 10_000)

    assert file.read_text() == "old" and small_disk.files() == ["file"]


@pytest.mark.parametrize("error", [OSError(errno.ENOSPC, "full"), RuntimeError(f"a; {os.strerror(errno.ENOSPC)} [b]")])
def test_a_disk_that_fills_meanwhile_is_told_whoever_met_it(error, tmp_path):
    told = r"the disk is full: 0\.0 MB are needed for a file"
    with pytest.raises(DiskFullError, match=told), disk.room(tmp_path, 1, "a file"):
        raise ValueError("something went wrong") from error


def test_another_failure_stays_what_it_is(tmp_path):
    with pytest.raises(UserError, match=r"^mine$"), disk.room(tmp_path / "not" / "there", 1, "a file"):
        raise UserError("mine")


def test_object_stores_do_not_fill():
    with disk.room("gs://bucket/folder", 2**60, "everything"):
        pass
