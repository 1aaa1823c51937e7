"""A run whose disk fills up in any of its steps says so, and continues once there is space."""

import contextlib
import os
import subprocess

import pytest
import runs

# Line of output at which the disk is filled, bytes that stay free, and the step that then fails.
MOMENTS = [
    ("Source: running", 50_000, "Source"),
    ("ImageExampleGen: running", 50_000, "ImageExampleGen"),
    ("StatisticsGen: running", 50_000, "StatisticsGen"),
    ("Tuner: running", 50_000, "Tuner"),
    ("Trainer: running", 50_000, "Trainer"),
    ("Trainer: train 4/4 epochs", 50_000, "Trainer"),
    ("Canary: complete", 50_000, "Evaluator"),
    ("Canary: cached", 1_000_000, "Pusher"),
]


@pytest.fixture(scope="module")
def disk(tmp_path_factory):
    """A file system of 64 MB, in memory."""
    folder = tmp_path_factory.mktemp("disk")
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64m", "tmpfs", str(folder)], capture_output=True)
    if mounted.returncode:
        pytest.skip("only root may mount a file system")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


@contextlib.contextmanager
def filled(disk, left):
    """Fills the disk up to `left` bytes for the block, while a run writes to it too."""
    filler = disk / "filler"
    with filler.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while file.write(bytes(10_000)):
            pass
    os.truncate(filler, filler.stat().st_size - left)
    try:
        yield
    finally:
        filler.unlink()


@pytest.mark.parametrize(("moment", "left", "step"), MOMENTS)
def test_full_disk_is_explained_and_leaves_no_partial_files(moment, left, step, disk):
    process = runs.start(disk / "workspace")
    reached = any(line.startswith(moment) for line in process.stderr)
    with filled(disk, left):
        _, err = process.communicate()
    assert reached and process.returncode == 1, err
    message = err.strip().splitlines()[-1]
    print(message)

    assert message.startswith(f"shiftvit: {disk}/workspace") and "the disk is full" in message
    assert f"{step}: failed" in err
    assert runs.versions(disk / "workspace") == [] and not list(disk.rglob("*.partial"))


def test_run_continues_to_a_pushed_model_once_there_is_space(disk):
    assert runs.finish(disk / "workspace")
