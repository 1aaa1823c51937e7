"""The Trainer's step on a cluster: killed in its work or in its upload, repeated, and twice at once."""

import contextlib
import json
import os
import re
import signal

import pytest
from compiled import compile_small
from waiting import wait_until

from components.example_gen import source_identity
from pipeline.graph.nodes import Node
from pipeline.runners.kubeflow.pipeline_file import load
from pipeline.runners.kubeflow.rehearsal_cluster import Cluster, Step
from pipeline.sources import shapes
from shiftvit.training_record import read_history

pytestmark = pytest.mark.slow

EPOCHS = 4
SETTINGS = ("train.deterministic=true", "train.replicas=1", "kubeflow.state=/state", "train.batch_size=64")


@pytest.fixture(scope="module")
def compiled_file(tmp_path_factory):
    return load(compile_small(tmp_path_factory.mktemp("compiled") / "p.yaml", *SETTINGS))


class TrainerStep:
    """The Trainer's step in one run on a cluster."""

    def __init__(self, file, folder, examples, run):
        task = file.spec["root"]["dag"]["tasks"][Node.TRAINER]
        component = file.spec["components"][Node.TRAINER]
        executor = file.spec["deploymentSpec"]["executors"][component["executorLabel"]]
        self.cluster = Cluster(folder, run, "shiftvit", {"epochs": EPOCHS})
        uri = "minio://b/examples"
        self.cluster.upload(examples, uri)
        metadata = {
            "split_names": '["train", "eval"]',
            source_identity.CLASS_NAMES: json.dumps(list(shapes.CLASS_NAMES)),
        }
        self.produced = {Node.EXAMPLE_GEN: {"examples": {"name": "1", "uri": uri, "metadata": metadata}}}
        volumes = file.volumes(component["executorLabel"])
        self.step = Step(Node.TRAINER, task, component, executor["container"], volumes, self.cluster)
        self.states = folder / "volumes/kept/training"

    def start(self):
        self.step.start(self.produced)
        return self

    def end(self):
        """Waits for the end of the command, without an upload."""
        wait_until(lambda: self.step.poll() is not None)
        assert self.step.poll() == 0, self.step.log.read_text()[-3000:]
        return self

    def kill(self):
        """Kills the pod, whose files are gone with it."""
        with contextlib.suppress(ProcessLookupError):  # the command has ended, and the launcher is killed
            os.killpg(self.step._process.pid, signal.SIGKILL)
        self.step.remove()
        return self

    def history(self):
        """Returns the rows of the one state on the volume, and when they were written."""
        files = list(self.states.glob("*/*/history.csv"))
        return (read_history(files[0].parent), files[0].stat().st_mtime_ns) if files else ([], 0)

    def upload(self):
        """Uploads as the launcher does; returns the weights in the object store."""
        uri = self.step.finish()["model"]["uri"]
        self.step.remove()
        variables = self.cluster.stored(uri) / "Format-Serving/variables"
        return (variables / "variables.data-00000-of-00001").read_bytes()


@pytest.fixture(scope="module")
def twice(compiled_file, drawn_examples, tmp_path_factory):
    """Two steps with equal settings on one volume, started together, of which nothing is uploaded yet."""
    folder = tmp_path_factory.mktemp("twice")
    steps = [TrainerStep(compiled_file, folder, drawn_examples, run) for run in ("one", "two")]
    return [step.end() for step in [step.start() for step in steps]]


@pytest.fixture(scope="module")
def weights(twice):
    """The weights of a training that nothing disturbed."""
    return twice[1].upload()


def test_two_steps_on_one_volume_take_turns_and_both_have_the_model(twice):
    logs = [step.step.log.read_text() for step in twice]

    assert sum("which is in use by process" in log for log in logs) == 1
    rows, _ = twice[0].history()
    assert [row["epoch"] for row in rows] == list(range(1, EPOCHS + 1))


def test_a_step_killed_in_its_upload_trains_nothing_again(twice, weights):
    step = twice[0]
    before = step.history()

    assert step.kill().start().end().upload() == weights

    assert step.history() == before


def test_a_step_repeated_after_its_upload_has_the_same_model(twice, weights):
    step = twice[1]
    before = step.history()

    assert step.start().end().upload() == weights

    assert step.history() == before


def test_a_step_killed_in_its_work_loses_at_most_one_epoch(compiled_file, drawn_examples, tmp_path, weights):
    step = TrainerStep(compiled_file, tmp_path, drawn_examples, "one").start()
    wait_until(lambda: len(step.history()[0]) >= 2, step.step._process)
    step.kill()
    finished = len(step.history()[0])

    assert step.start().end().upload() == weights

    rows, _ = step.history()
    assert [row["epoch"] for row in rows] == list(range(1, EPOCHS + 1))
    resumed = re.search(r"resumes after epoch (\d+)", step.step.log.read_text())
    assert int(resumed[1]) in (finished - 1, finished), "the history of an epoch is written just before its checkpoint"
