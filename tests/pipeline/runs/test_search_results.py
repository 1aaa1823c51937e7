import dataclasses
import json

import pytest

from pipeline.cli import run_page
from pipeline.reports.details import RunDetails
from pipeline.runs.lineage import Artifact, Execution
from pipeline.runs.run import Run
from pipeline.runs.search import SearchSummary, describe_best, describe_search, read_search
from pipeline.runs.workspace import RunFolder
from tuner.results import REPORT_FILE, RESULTS_FILE, Results, Trial, to_json

VALUES = {"train.learning_rate": 0.00211119, "model.dims": "8,16", "train.average": True}
TRIALS = (
    Trial("00", "completed", {"train.learning_rate": 0.002}, 0.5),
    Trial("01", "completed", VALUES, 0.7118),
    Trial("02", "failed", {}, cause="diverged"),
    Trial("03", "stopped", {}, 0.1),
)


def search_executions(folder, trials=TRIALS, objective="val_top1", greater_is_better=True):
    """Returns the executions of a run whose Tuner wrote those trials to `folder`."""
    folder.mkdir(exist_ok=True)
    (folder / RESULTS_FILE).write_text(to_json(Results("random", objective, greater_is_better, (), trials, 5)))
    tuner_outputs = {"tuner_results": (Artifact(1, "TunerResults", str(folder), {}),)}
    ingest_outputs = {"examples": (Artifact(2, "Examples", "elsewhere", {}),)}
    return [
        Execution(number, node, "run", "complete", 0.0, 1.0, {}, outputs)
        for number, (node, outputs) in enumerate(
            [("Ingest", ingest_outputs), ("Tuner", tuner_outputs), ("Trainer", {})]
        )
    ]


def test_the_summary_survives_json(tmp_path):
    search = read_search(search_executions(tmp_path))

    stored = json.loads(json.dumps(dataclasses.asdict(search)))
    assert SearchSummary.from_dict(stored) == search
    assert stored == {
        "objective": "val_top1",
        "trials": {"completed": 2, "failed": 1, "stopped": 1},
        "best": {"id": "01", "score": 0.7118, "values": VALUES},
        "report": str(tmp_path / REPORT_FILE),
    }


def test_the_conclusion_names_the_best_setting_and_the_report(tmp_path):
    assert describe_search(read_search(search_executions(tmp_path))) == (
        "Best of 4 trials: val_top1 71.2% with train.learning_rate=0.002111, model.dims=8,16, train.average=true; "
        f"report: {tmp_path / REPORT_FILE}"
    )
    assert describe_search(read_search(search_executions(tmp_path, TRIALS[:1]))).startswith(
        "Best of 1 trial: val_top1 50.0% "
    )


@pytest.mark.parametrize(
    "objective, greater_is_better, description",
    [("val_loss", False, "val_loss 0.1"), ("val_top5", True, "val_top5 71.2%"), ("margin", True, "margin 0.7118")],
)
def test_only_shares_are_percentages(tmp_path, objective, greater_is_better, description):
    search = read_search(search_executions(tmp_path, TRIALS, objective, greater_is_better))

    assert describe_best(search) == description


def test_without_a_tuner_or_its_results_there_is_no_search(tmp_path):
    executions = search_executions(tmp_path)
    (tmp_path / RESULTS_FILE).unlink()

    assert read_search(executions) is None
    assert read_search([execution for execution in executions if execution.node != "Tuner"]) is None


def test_the_page_of_a_run_shows_its_search(tmp_path, capsys):
    search = read_search(search_executions(tmp_path))
    run = Run(RunFolder(tmp_path), "complete", None, 1.0, {}, None, ())
    run_page.print_run(RunDetails(run, lineage=[], search=search, anomalies=[]))
    with_search = capsys.readouterr().out
    run_page.print_run(RunDetails(run, lineage=[], search=None, anomalies=[]))

    assert [line.strip() for line in with_search[with_search.index("Search") :].splitlines()[:4]] == [
        "Search",
        "trials  2 completed, 1 failed, 1 stopped",
        "best    val_top1 71.2% (trial 01)",
        f"report  {tmp_path / REPORT_FILE}",
    ]
    assert "Search" not in capsys.readouterr().out
    assert "Metrics" not in with_search, "a heading without content"
