from types import SimpleNamespace

from pipeline.runs.lineage import Execution
from pipeline.runs.run import read_run
from pipeline.runs.workspace import RunFolder
from shiftvit.files import locks

STATES = {"Ingest": "cached", "Tuner": "complete", "Trainer": "running"}
LINEAGE = SimpleNamespace(
    executions=lambda run: [
        Execution(number, node, run, state, 0.0, 1.0, {}, {}) for number, (node, state) in enumerate(STATES.items())
    ]
)


def test_component_that_a_dead_run_left_running_was_interrupted(tmp_path):
    run = read_run(RunFolder(tmp_path), LINEAGE)

    assert run.state == "interrupted"
    assert run.describe_components() == "1 cached, 1 complete, Trainer interrupted"


def test_component_of_a_running_run_is_running(tmp_path):
    folder = RunFolder(tmp_path)
    with folder.log.open("w") as log:
        locks.acquire(log)
        run = read_run(folder, LINEAGE)

    assert run.state == "running"
    assert run.describe_components() == "1 cached, 1 complete, Trainer running"
