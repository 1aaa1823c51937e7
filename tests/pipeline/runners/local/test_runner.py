from pipeline.runners.local.runner import save_predictions
from pipeline.runs.events import Events
from pipeline.runs.lineage import Artifact, Execution
from pipeline.runs.workspace import RunFolder, Workspace


def test_run_does_not_fail_if_its_predictions_cannot_be_saved(tmp_path):
    outputs = {
        "Trainer": {"model": (Artifact(1, "Model", str(tmp_path / "gone"), {}),)},
        "ImageExampleGen": {"examples": (Artifact(2, "Examples", str(tmp_path / "gone"), {}),)},
    }
    executions = {node: Execution(3, node, "run", "cached", 0.0, 1.0, {}, made) for node, made in outputs.items()}
    events = []

    assert not save_predictions(executions, RunFolder(tmp_path), Workspace(tmp_path), Events(events.append))

    assert [event["event"] for event in events] == ["note"]
    assert events[0]["message"].startswith("The report will lack calibration and mistakes: ")
    assert not RunFolder(tmp_path).predictions.exists()
