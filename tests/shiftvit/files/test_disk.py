"""Full disks, on a real file system of a few megabytes in memory."""

import dataclasses
import errno
import os

import pytest
import trainings

from shiftvit import train
from shiftvit.config import ModelConfig
from shiftvit.errors import DiskFullError, UserError
from shiftvit.features import EVAL, TRAIN, split_folder
from shiftvit.files import atomic, disk

# 0.2 million parameters: a checkpoint holds three float32 values for each, about 2.4 MB.
MODEL = ModelConfig(patch_size=8, dims=(128, 128), depths=(1, 1), n_div=4, drop_path=0.0)
EXPERIMENT = dataclasses.replace(trainings.experiment(epochs=2), model=MODEL)
CHECKPOINT = "the checkpoint of the training"


def fit(examples, folder):
    """Trains, and returns the epochs that ran."""
    files = [[f"{split_folder(examples, split)}/*"] for split in (TRAIN, EVAL)]
    return train.train(EXPERIMENT, *files, resume_dir=str(folder / "resume")).history.epoch


@pytest.mark.slow
def test_a_training_that_fills_the_disk_keeps_its_last_checkpoint_and_resumes(small_disk, drawn_examples, monkeypatch):
    """There is room for one checkpoint but not for two, and the check at the start is bypassed."""
    monkeypatch.setattr(disk, "_free_bytes", lambda folder: 2**40)
    with small_disk.filled(left=3_000_000), pytest.raises(DiskFullError, match=CHECKPOINT):
        fit(drawn_examples, small_disk.folder)

    assert {name.partition(".")[0] for name in small_disk.files("resume/state")} == {"checkpoint", "ckpt-1"}
    assert fit(drawn_examples, small_disk.folder) == [1]


def test_too_little_space_for_a_training_is_reported_before_it_begins(small_disk, drawn_examples):
    with small_disk.filled(left=3_000_000), pytest.raises(DiskFullError, match=small_disk.refusal(CHECKPOINT)):
        fit(drawn_examples, small_disk.folder)

    assert small_disk.files() == []


def test_a_file_keeps_its_content_if_the_new_content_does_not_fit(small_disk):
    file = small_disk.folder / "file"
    atomic.write_file(file, "old")
    with small_disk.filled(left=0), pytest.raises(OSError, match="No space left"):
        atomic.write_file(file, "new" * 10_000)

    assert file.read_text() == "old" and small_disk.files() == ["file"]


@pytest.mark.parametrize("error", [OSError(errno.ENOSPC, "full"), RuntimeError(f"a; {os.strerror(errno.ENOSPC)} [b]")])
def test_a_full_disk_is_reported_whatever_error_it_caused(error, tmp_path):
    message = r"the disk is full: 0\.0 MB are needed for a file"
    with pytest.raises(DiskFullError, match=message), disk.ensure_space(tmp_path, 1, "a file"):
        raise ValueError("something went wrong") from error


def test_other_errors_pass_through(tmp_path):
    with pytest.raises(UserError, match=r"^mine$"), disk.ensure_space(tmp_path / "not" / "there", 1, "a file"):
        raise UserError("mine")


def test_object_stores_do_not_fill_up():
    with disk.ensure_space("gs://bucket/folder", 2**60, "everything"):
        pass
