import json

import pytest
from made_runs import make_predictions, make_run

from pipeline.cli.main import main
from pipeline.runs.workspace import Workspace


@pytest.mark.parametrize("command", [["runs"], ["versions"]])
def test_list_of_an_empty_workspace_says_how_to_start(tmp_path, capsys, command):
    assert main([*command, "--workspace", str(tmp_path / "none")]) == 0
    assert "`shiftvit run`" in capsys.readouterr().out
    assert main([*command, "--workspace", str(tmp_path / "none"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == []
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize("command", [["show"], ["predict", "x.png"], ["rollback", "3"]])
def test_command_that_needs_a_run_says_how_to_start_one(tmp_path, capsys, command):
    assert main([*command, "--workspace", str(tmp_path)]) == 2
    assert "`shiftvit run`" in capsys.readouterr().err


def test_unknown_run_is_refused(tmp_path, capsys):
    make_run(Workspace(tmp_path), "20261123-153012")
    assert main(["show", "20200101-000000", "--workspace", str(tmp_path)]) == 2
    assert "no run '20200101-000000'" in capsys.readouterr().err


def test_run_without_executions_has_no_report(tmp_path, capsys):
    make_run(Workspace(tmp_path), "a")

    assert main(["report", "--workspace", str(tmp_path)]) == 1
    assert "run a has nothing to report, because no component has run; see its log" in capsys.readouterr().err


def test_report_prints_the_path_of_an_existing_page(tmp_path, capsys):
    folder = make_run(Workspace(tmp_path), "a")
    folder.report.write_text("page")

    assert main(["report", "a", "--workspace", str(tmp_path)]) == 0
    assert capsys.readouterr().out == f"{folder.report}\n" and folder.report.read_text() == "page"
    assert main(["show", "--workspace", str(tmp_path)]) == 0
    assert capsys.readouterr().out.endswith(f"\nReport: {folder.report}\n")


def test_report_prints_its_contents_as_json(tmp_path, capsys):
    make_run(Workspace(tmp_path), "a", make_predictions([0, 1, 1], [0, 1, 0], [0.9, 0.8, 0.7]))

    assert main(["report", "--json", "--workspace", str(tmp_path)]) == 0
    contents = json.loads(capsys.readouterr().out)
    assert contents["metrics"]["top1"] == 2 / 3
    assert len(contents["mistakes"]) == 1 and len(contents["calibration"]) == 3


@pytest.mark.parametrize(("metrics", "listed"), [({"top1": 0.5}, False), ({"top1": 0.5, "top5": 0.9}, True)])
def test_top5_has_a_column_only_if_it_was_measured(tmp_path, capsys, metrics, listed):
    make_run(Workspace(tmp_path), "a", metrics=metrics)

    assert main(["runs", "--workspace", str(tmp_path)]) == 0
    assert ("top-5" in capsys.readouterr().out) is listed


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
def test_runs_are_sorted_by_a_column_and_those_without_a_value_come_last(tmp_path, capsys, options, order):
    runs = {"a": (300.0, 0.9, "1000"), "b": (5.0, None, None), "c": (100.0, 0.8, "999")}
    for run_id, (seconds, top1, version) in runs.items():
        metrics = {} if top1 is None else {"top1": top1}
        make_run(Workspace(tmp_path), run_id, seconds=seconds, metrics=metrics, pushed_version=version)

    assert main(["runs", "--json", "--workspace", str(tmp_path), *options]) == 0
    assert [run["id"] for run in json.loads(capsys.readouterr().out)] == order
    assert main(["runs", "--workspace", str(tmp_path), *options]) == 0
    assert [line[0] for line in capsys.readouterr().out.splitlines()[1:]] == order
