"""A run whose disk fills, at any of its steps, says so, and goes on when there is room."""

import contextlib
import os
import subprocess

import pytest
import runs

# What is on the terminal when the disk is filled, how many bytes stay free, and which step then lacks room.
MOMENTS = [
    ("Source: running", 50_000, "Source"),
    ("Cifar10ExampleGen: running", 50_000, "Cifar10ExampleGen"),
    ("StatisticsGen: running", 50_000, "StatisticsGen"),
    ("Tuner: running", 50_000, "Tuner"),
    ("Trainer: running", 50_000, "Trainer"),
    ("Trainer: train 4/4 epochs", 50_000, "Trainer"),
    ("Canary: complete", 50_000, "Evaluator"),
    ("Canary: cached", 1_000_000, "Pusher"),
]


@pytest.fixture(scope="module")
def disk(tmp_path_factory):
    """A disk of 64 MB, in memory."""
    folder = tmp_path_factory.mktemp("disk")
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64m", "tmpfs", str(folder)], capture_output=True)
    if mounted.returncode:
        pytest.skip("only root may mount a file system")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


@contextlib.contextmanager
def filled(disk, left):
    """Takes all room on the disk but for so many bytes, while a run takes some too."""
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
def test_a_step_without_room_is_told_and_nothing_is_half_written(moment, left, step, disk):
    process = runs.start(disk / "workspace")
    said = next((line for line in process.stderr if line.startswith(moment)), None)
    with filled(disk, left):
        told = process.communicate()[1]
    assert said and process.returncode == 1, told
    last = told.strip().splitlines()[-1]
    print(last)

    assert last.startswith(f"shiftvit: {disk}/workspace") and "the disk is full" in last
    assert f"{step}: failed" in told
    assert runs.versions(disk / "workspace") == [] and not list(disk.rglob("*.partial"))


def test_with_room_the_run_goes_on_to_a_pushed_model(disk):
    assert runs.finish(disk / "workspace")
