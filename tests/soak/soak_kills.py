"""A run that is killed at any moment loses nothing, and shows no server half a model."""

import contextlib
import os
import random
import signal
import subprocess
import sys
import time

import pytest
import runs
from waiting import wait_until

KILLS = 20
STEPS = [
    *("Source", "Cifar10ExampleGen", "StatisticsGen", "ImportSchemaGen", "ExampleValidator", "DataGate", "Tuner"),
    *("Trainer", "Baseline", "Evaluator", "Canary", "Pusher"),
]

# Loads every version that appears below a folder as soon as its name is there, and says how that went.
SERVER = """
import sys, time
from pathlib import Path
import numpy as np
import tensorflow as tf
image, seen = tf.io.encode_png(np.zeros((32, 32, 3), np.uint8)), set()
print("serves", flush=True)
while True:
    for version in Path(sys.argv[1]).glob("*/serving/shiftvit/[0-9]*"):
        if version not in seen:
            seen.add(version)
            try:
                tf.saved_model.load(str(version)).signatures["serving_default"](image_bytes=tf.stack([image]))
                print("loaded", version, flush=True)
            except Exception as error:
                print("FAILED", version, error, flush=True)
    time.sleep(0.005)
"""


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """The folder of all workspaces."""
    return tmp_path_factory.mktemp("kills")


@pytest.fixture(scope="module")
def server(place):
    """What a server that watches all workspaces says, line by line, in a file."""
    with (place / "served").open("w") as said:
        process = subprocess.Popen([sys.executable, "-c", SERVER, str(place)], stdout=said, stderr=subprocess.DEVNULL)
    while not (place / "served").read_text():
        time.sleep(0.1)
    yield place / "served"
    process.kill()
    process.wait()


@pytest.fixture(scope="module")
def undisturbed(place):
    """How long a run takes when nothing happens to it, and the weights it ends with."""
    started = time.monotonic()
    digest = runs.finish(place / "undisturbed")
    return time.monotonic() - started, digest


@pytest.mark.parametrize("number", range(KILLS))
def test_a_run_killed_at_any_time_ends_with_the_same_weights(number, place, server, undisturbed):
    seconds, expected = undisturbed
    chance, workspace = random.Random(number), place / str(number)
    process = runs.start(workspace)
    moment = chance.uniform(0, seconds)
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(moment)
    killed = kill(process, number)
    print(f"killed {killed} after {moment:.1f} of {seconds:.1f} s")

    check(workspace, server, expected)


@pytest.mark.parametrize("step", STEPS)
def test_a_run_killed_in_any_step_ends_with_the_same_weights(step, place, server, undisturbed):
    """Whatever else the machine does: the times of an undisturbed run are not those of every run."""
    chance, workspace = random.Random(step), place / step
    process = runs.start(workspace)
    assert any(line == f"{step}: running\n" for line in process.stderr)
    time.sleep(chance.uniform(0, 1))
    print(f"killed {kill(process, STEPS.index(step))} in {step}")

    check(workspace, server, undisturbed[1])


def kill(process, number):
    """Kills, in turn: all processes at once, as with the machine; the one that was started; the one of the graph."""
    alive = runs.tree(process.pid)
    for victim in (alive, alive[:1], alive[1:2])[number % 3]:
        with contextlib.suppress(ProcessLookupError):
            os.kill(victim, signal.SIGKILL)
    process.communicate()
    return f"{('all', 'the first', 'the second')[number % 3]} of {len(alive)}"


def check(workspace, server, expected):
    """Runs again: it must end with the expected weights, in a version that was whole whenever it was seen."""
    assert runs.finish(workspace) == expected
    loaded_in_time(server, runs.versions(workspace)[0])
    assert "FAILED" not in server.read_text()


def loaded_in_time(server, version):
    """Waits until the server has loaded the version."""
    wait_until(lambda: str(version) in server.read_text())
