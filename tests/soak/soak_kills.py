"""A run killed at any moment loses nothing, and a server never sees a partial model."""

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
    *("Source", "ImageExampleGen", "StatisticsGen", "DatasetSchema", "ExampleValidator", "DataGate", "Tuner"),
    *("Trainer", "Baseline", "Evaluator", "Canary", "Pusher"),
]

# Loads each version below a folder as soon as it appears, and prints whether that worked.
SERVER = """
import sys, time
from pathlib import Path
import numpy as np
import tensorflow as tf
image, known = tf.io.encode_png(np.zeros((32, 32, 3), np.uint8)), set()
print("watching", flush=True)
while True:
    for version in Path(sys.argv[1]).glob("*/serving/shiftvit/[0-9]*"):
        if version not in known:
            known.add(version)
            try:
                tf.saved_model.load(str(version)).signatures["serving_default"](image_bytes=tf.stack([image]))
                print("loaded", version, flush=True)
            except Exception as error:
                print("FAILED", version, error, flush=True)
    time.sleep(0.005)
"""


@pytest.fixture(scope="module")
def workspaces(tmp_path_factory):
    """The folder of all workspaces."""
    return tmp_path_factory.mktemp("kills")


@pytest.fixture(scope="module")
def server_log(workspaces):
    """The output of a process that loads the versions of all workspaces as they appear, a file."""
    log = workspaces / "served"
    with log.open("w") as file:
        process = subprocess.Popen(
            [sys.executable, "-c", SERVER, str(workspaces)], stdout=file, stderr=subprocess.DEVNULL
        )
    wait_until(log.read_text, process)
    yield log
    process.kill()
    process.wait()


@pytest.fixture(scope="module")
def undisturbed(workspaces):
    """The seconds of an undisturbed run, and the digest of its weights."""
    started = time.monotonic()
    digest = runs.finish(workspaces / "undisturbed")
    return time.monotonic() - started, digest


@pytest.mark.parametrize("number", range(KILLS))
def test_run_killed_at_a_random_moment_ends_with_the_same_weights(number, workspaces, server_log, undisturbed):
    seconds, expected = undisturbed
    workspace = workspaces / str(number)
    process = runs.start(workspace)
    moment = random.Random(number).uniform(0, seconds)
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(moment)
    killed = kill(process, number)
    print(f"killed {killed} after {moment:.1f} of {seconds:.1f} s")

    check(workspace, server_log, expected)


@pytest.mark.parametrize("step", STEPS)
def test_run_killed_in_each_step_ends_with_the_same_weights(step, workspaces, server_log, undisturbed):
    """Random moments may miss a step, above all on a busy machine."""
    workspace = workspaces / step
    process = runs.start(workspace)
    assert any(line == f"{step}: running\n" for line in process.stderr)
    time.sleep(random.Random(step).uniform(0, 1))
    print(f"killed {kill(process, STEPS.index(step))} in {step}")

    check(workspace, server_log, undisturbed[1])


def kill(process, number):
    """Kills, depending on `number`, all processes (like a power failure), the started one, or the one of the graph."""
    pids = runs.tree(process.pid)
    for victim in (pids, pids[:1], pids[1:2])[number % 3]:
        with contextlib.suppress(ProcessLookupError):
            os.kill(victim, signal.SIGKILL)
    process.communicate()
    return f"{('all', 'the first', 'the second')[number % 3]} of {len(pids)}"


def check(workspace, server_log, expected):
    """Repeats the run, which must push the expected weights in a version that loads from the moment it appears."""
    assert runs.finish(workspace) == expected
    [version] = runs.versions(workspace)
    wait_until(lambda: str(version) in server_log.read_text())
    assert "FAILED" not in server_log.read_text()
