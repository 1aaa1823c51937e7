"""Processes that read the serving folder while versions are pushed, rolled back and removed."""

import json
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import pytest
import tensorflow as tf
from tfx.dsl.components.base.base_executor import BaseExecutor
from tfx.types import standard_artifacts
from waiting import wait_until

from components import serving_folder
from components.pusher import Executor
from pipeline.runs.versions import list_versions, rollback
from pipeline.runs.workspace import Workspace

pytestmark = pytest.mark.slow

CHANGES = 50
ASK = """
import sys, tensorflow as tf
from pathlib import Path
from components import serving_folder
base, log = map(Path, sys.argv[1:])

def ask(version):
    answer = int(tf.saved_model.load(str(version))(tf.constant(1)))
    with log.open("a") as file:
        print(version.name, answer, file=file)

"""
LOCKING_READER = (
    ASK
    + """
while True:
    with serving_folder.hold_newest(base) as version:
        ask(version)
"""
)
TENSORFLOW_SERVING = (
    ASK
    + """
while True:  # reads the highest number without a lock, as TensorFlow Serving does
    ask(base / str(max(int(path.name) for path in base.iterdir() if path.name.isdigit())))
"""
)


class Constant(tf.Module):
    """Returns its number from a variable, so that loading needs all files of the SavedModel."""

    def __init__(self, number):
        super().__init__()
        self.number = tf.Variable(number)

    @tf.function(input_signature=[tf.TensorSpec((), tf.int32)])
    def __call__(self, times):
        return self.number * times


@pytest.fixture
def workspace(tmp_path):
    return Workspace(tmp_path / "workspace")


def push(workspace, models, number, keep):
    """Pushes a model that returns `number`; returns the version."""
    model, pushed = standard_artifacts.Model(), standard_artifacts.PushedModel()
    model.uri, pushed.uri = str(models / f"model-{number}"), str(models / f"pushed-{number}")
    tf.saved_model.save(Constant(number), f"{model.uri}/Format-Serving")
    blessing = standard_artifacts.ModelBlessing()
    blessing.set_int_custom_property("blessed", 1)
    Executor(BaseExecutor.Context(tmp_dir=str(models), unique_id="1")).Do(
        {"model": [model], "model_blessing": [blessing]},
        {"pushed_model": [pushed]},
        {
            "push_destination": json.dumps({"filesystem": {"base_directory": str(workspace.serving)}}),
            "custom_config": json.dumps({"keep": keep}),
        },
    )
    return int(pushed.get_string_custom_property("pushed_version"))


@contextmanager
def reader(program, base, log):
    """Runs a process that loads the newest version in a loop, and asserts that it does not fail."""
    process = subprocess.Popen([sys.executable, "-c", program, str(base), str(log)], stderr=subprocess.PIPE, text=True)
    try:
        yield process
        assert process.poll() is None, process.stderr.read()[-2000:]
    finally:
        process.kill()
        process.wait()
        process.stderr.close()


def answers(log: Path) -> list[tuple[int, int]]:
    """Returns the (version, answer) pairs of the reader so far."""
    lines = log.read_text().splitlines() if log.exists() else []
    return [(int(version), int(answer)) for version, answer in map(str.split, lines)]


def wait_for_answers(process, log, count):
    wait_until(lambda: len(answers(log)) >= count, process)


@pytest.mark.parametrize("program, keep, at_once", [(LOCKING_READER, 2, CHANGES + 1), (TENSORFLOW_SERVING, 3, 2)])
def test_reader_never_fails_while_versions_change(program, keep, at_once, workspace, tmp_path):
    """Without a lock, a reader needs to finish a load before as many versions are pushed as are kept; with one, not."""
    expected = {push(workspace, tmp_path, 0, keep): 0}
    log = tmp_path / "answers"
    with reader(program, workspace.serving, log) as process:
        wait_for_answers(process, log, 1)
        for change in range(1, CHANGES + 1):
            if change % 3:
                expected[push(workspace, tmp_path, change, keep)] = change
            else:
                back = min(serving_folder.numbers(workspace.serving))
                expected[rollback(workspace, back)] = expected[back]
            if change % at_once == 0:
                wait_for_answers(process, log, len(answers(log)) + 1)
        wait_for_answers(process, log, len(answers(log)) + 2)

    asked = answers(log)
    assert len(expected) == CHANGES + 1
    assert [expected[version] for version, _ in asked] == [answer for _, answer in asked]
    assert asked[-1][0] == max(expected) and len({version for version, _ in asked}) > 5
    assert len(list_versions(workspace)) in (keep, keep + 1), "the reader may hold one more"
    push(workspace, tmp_path, CHANGES + 1, keep)
    assert len(list(workspace.serving.iterdir())) == keep
