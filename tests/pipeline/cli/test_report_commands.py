import json

import pytest
from made_runs import make_predictions, make_run

from pipeline.cli.main import main
from pipeline.runs.workspace import Workspace


def test_report_without_anything_to_show_is_told(tmp_path, capsys):
    make_run(Workspace(tmp_path), "a")

    assert main(["report", "--workspace", str(tmp_path)]) == 1
    assert "run a has nothing to report, no component has run; its log is" in capsys.readouterr().err


def test_report_tells_the_page_that_is_there_and_all_facts_as_json(tmp_path, capsys):
    folder = make_run(Workspace(tmp_path), "a", make_predictions([0, 1, 1], [0, 1, 0], [0.9, 0.8, 0.7]))
    folder.report.write_text("there")

    assert main(["report", "a", "--workspace", str(tmp_path)]) == 0
    assert capsys.readouterr().out == f"{folder.report}\n" and folder.report.read_text() == "there"
    assert main(["show", "--workspace", str(tmp_path)]) == 0
    assert capsys.readouterr().out.endswith(f"\nReport: {folder.report}\n")
    assert main(["report", "--json", "--workspace", str(tmp_path)]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["metrics"]["top1"] == 2 / 3 and len(told["mistakes"]) == 1 and len(told["calibration"]) == 3


@pytest.mark.parametrize(
    ("options", "order"),
    [
        ([], ["a", "b", "c"]),
        (["--reverse"], ["c", "b", "a"]),
        (["--sort", "top-1"], ["c", "a", "b"]),
        (["--sort", "top-1", "--reverse"], ["a", "c", "b"]),
        (["--sort", "time"], ["b", "c", "a"]),
        (["--sort", "version"], ["c", "a", "b"]),
    ],
)
def test_runs_are_sorted_by_any_column_and_what_has_no_value_comes_last(tmp_path, capsys, options, order):
    made = {"a": (300.0, 0.9, "1000"), "b": (5.0, None, None), "c": (100.0, 0.8, "999")}
    for run_id, (seconds, top1, version) in made.items():
        metrics = {} if top1 is None else {"top1": top1}
        make_run(Workspace(tmp_path), run_id, seconds=seconds, metrics=metrics, pushed_version=version)

    assert main(["runs", "--json", "--workspace", str(tmp_path), *options]) == 0
    assert [run["id"] for run in json.loads(capsys.readouterr().out)] == order
    assert main(["runs", "--workspace", str(tmp_path), *options]) == 0
    assert [line[0] for line in capsys.readouterr().out.splitlines()[1:]] == order
