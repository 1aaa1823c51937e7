"""`shiftvit run` and `tune`, with a small program in place of the graph."""

import json

import pytest

from pipeline.cli.main import main
from shiftvit.stack import STACK

TUNED = """
assert "--search-only" in sys.argv
result = dict(event="result", reasons=[], search=dict(objective="val_top1", trials=dict(completed=3, failed=1),
              best=dict(id="02", score=0.712, values={"train.learning_rate": 0.0021}), report="w/report.html"))
send(**result)
write_result(result)
"""
TUNED_SENTENCE = "Best of 4 trials: val_top1 71.2% with train.learning_rate=0.0021; report: w/report.html\n"


@pytest.fixture
def runs(tmp_path, capsys):
    """Returns what `shiftvit runs --json` prints."""

    def runs():
        capsys.readouterr()
        assert main(["runs", "--json", "--workspace", str(tmp_path / "workspace")]) == 0
        return json.loads(capsys.readouterr().out)

    return runs


def last_line(capsys):
    return capsys.readouterr().err.splitlines()[-1]


def test_run_ends_with_the_pushed_version(tmp_path, capsys, execute, runs):
    program = """
        send(event="node", node="Trainer", state="complete")
        result = dict(event="result", pushed_version="17", new=True, destination="w/serving/shiftvit/17",
                      metrics={"top1": 0.931, "top5": 0.998, "loss": 0.2, "ece": 0.1, "examples": 1000}, reasons=[])
        send(**result)
        write_result(result)
    """
    assert execute(program) == 0
    out, err = capsys.readouterr()
    assert out == "Pushed version 17 to w/serving/shiftvit: top-1 93.1%, top-5 99.8% on the test split.\n"
    assert err.splitlines()[0] == "Trainer: running" and err.splitlines()[1].startswith("Trainer: complete")
    (run,) = runs()
    assert (run["state"], run["pushed_version"], run["metrics"]["top1"]) == ("complete", "17", 0.931)
    assert (tmp_path / "workspace/stack").read_text() == f"{STACK}\n"
    assert main(["show", "--workspace", str(tmp_path / "workspace")]) == 0
    page = capsys.readouterr().out
    assert f"Run {run['id']}: complete" in page and "Pushed version 17" in page and "train.batch_size=64" in page


def test_run_does_not_stop_after_the_search(execute):
    program = """
        assert "--search-only" not in sys.argv
        send(event="result", pushed_version=None, metrics={}, reasons=["top-1 too low"])
        sys.exit(4)
    """
    assert execute(program) == 4


def test_run_whose_model_was_rolled_back_says_so(tmp_path, capsys, execute):
    for version in (17, 18):
        folder = tmp_path / "workspace" / "serving" / "shiftvit" / str(version)
        folder.mkdir(parents=True)
        (folder / "saved_model.pb").write_text("")
    program = f"""
        send(event="result", pushed_version="17", new=False, destination={str(tmp_path)!r} + "/17", metrics={{}})
    """
    assert execute(program) == 0
    assert "Version 18 is served instead; serve this one with `shiftvit rollback 17`." in capsys.readouterr().out


def test_model_that_is_not_blessed_exits_4_with_the_reason(capsys, execute, runs):
    program = """
        send(event="result", pushed_version=None, new=False, destination="w", metrics={"top1": 0.4},
             reasons=["top-1 is 0.400, 0.500 below the bound 0.900"])
        sys.exit(4)
    """
    assert execute(program) == 4
    assert last_line(capsys) == "shiftvit: not pushed: top-1 is 0.400, 0.500 below the bound 0.900"
    assert runs()[0]["state"] == "not blessed"


def test_bad_data_exits_3_with_the_reason(capsys, execute, runs):
    program = """
        send(event="node", node="Trainer", state="failed")
        send(event="error", message="a.bin: label 200 at offset 3073", exit_code=3)
        sys.exit(3)
    """
    assert execute(program) == 3
    out, err = capsys.readouterr()
    assert out == "" and err.splitlines()[-1] == "shiftvit: a.bin: label 200 at offset 3073"
    (run,) = runs()
    assert (run["state"], run["message"]) == ("failed", "a.bin: label 200 at offset 3073")


def test_json_of_a_failed_run_has_the_reason_that_stderr_has(capsys, execute):
    program = """
        send(event="error", message="a.bin: label 200 at offset 3073", exit_code=3)
        sys.exit(3)
    """
    assert execute(program, "run", "--json") == 3
    out, err = capsys.readouterr()
    outcome = json.loads(out)
    assert (outcome["exit_code"], outcome["message"], outcome["result"]) == (3, "a.bin: label 200 at offset 3073", None)
    assert err.splitlines()[-1] == "shiftvit: a.bin: label 200 at offset 3073"


def test_run_whose_watching_process_was_killed_is_interrupted(tmp_path, execute, runs):
    execute("sys.exit(1)")
    (outcome,) = (tmp_path / "workspace" / "runs").glob("*/outcome.json")
    outcome.unlink()
    assert runs()[0]["state"] == "interrupted"


def test_tune_ends_with_the_best_trial_and_pushes_nothing(tmp_path, capsys, execute, runs):
    assert execute(TUNED, "tune") == 0
    assert capsys.readouterr().out == TUNED_SENTENCE
    (run,) = runs()
    assert (run["state"], run["pushed_version"], run["metrics"]) == ("complete", None, {})
    assert main(["show", "--workspace", str(tmp_path / "workspace")]) == 0
    assert TUNED_SENTENCE in capsys.readouterr().out


def test_tune_whose_watching_process_was_killed_after_the_end_is_complete(tmp_path, execute, runs):
    execute(TUNED, "tune")
    (outcome,) = (tmp_path / "workspace" / "runs").glob("*/outcome.json")
    outcome.unlink()
    assert runs()[0]["state"] == "complete"


def test_json_of_a_search_has_its_result(tmp_path, capsys, execute):
    assert execute(TUNED, "tune", "--json") == 0
    outcome = json.loads(capsys.readouterr().out)
    (folder,) = (tmp_path / "workspace" / "runs").iterdir()
    assert (outcome["run"], outcome["exit_code"], outcome["message"]) == (folder.name, 0, None)
    assert outcome["result"]["search"]["best"]["values"] == {"train.learning_rate": 0.0021}


def test_tune_that_fails_says_why(capsys, execute, runs):
    program = """
        send(event="error", message="every trial of the search failed", exit_code=1)
        sys.exit(1)
    """
    assert execute(program, "tune") == 1
    assert last_line(capsys) == "shiftvit: every trial of the search failed"
    assert runs()[0]["state"] == "failed"


def test_tune_without_a_search_says_what_to_set(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["tune", "--preset", "cifar10-cpu"]) == 2
    out, err = capsys.readouterr()
    assert "as in --set tune.trials=12" in err and err.count("\n") == 1 and out == ""
    assert list(tmp_path.iterdir()) == [], "something was written"
