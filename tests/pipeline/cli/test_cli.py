import argparse
import json
import re
import shlex
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from pipeline.cli import main as cli
from pipeline.cli.main import main, make_parser
from pipeline.cli.options import resolve
from pipeline.config import config_file
from pipeline.config.presets import quickstart
from pipeline.reports.wording import conclusion
from pipeline.runners.local import launch
from pipeline.runs.lineage import Execution
from pipeline.runs.results import Run
from pipeline.runs.run_result import RunResult
from pipeline.runs.workspace import RunFolder
from shiftvit.errors import ConfigError


def resolved(*options):
    return resolve(make_parser().parse_args(["run", *options]))


def test_settings_win_over_options_and_options_over_the_preset():
    assert resolved() == quickstart()
    assert resolved("--preset", "cifar10-cpu", "--data", "a.tar.gz", "--workspace", "w").source == "a.tar.gz"
    chosen = resolved("--data", "a", "--set", "source=b", "--set", "train.epochs=3")
    assert (chosen.source, chosen.train.epochs) == ("b", 3)


def test_configuration_file_does_a_run_again(tmp_path):
    first = resolved("--preset", "cifar10-cpu", "--set", "train.epochs=3")
    config_file.save(first, tmp_path / "config.json")
    assert resolved("--config", str(tmp_path / "config.json")) == first
    assert resolved("--config", str(tmp_path / "config.json"), "--data", "shapes").source == "shapes"
    with pytest.raises(ConfigError, match="not both"):
        resolved("--config", str(tmp_path / "config.json"), "--preset", "cifar10")


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--preset", "cifar"], "unknown preset 'cifar'; did you mean"),
        (["--set", "train.epoch=3"], "unknown key train.epoch; did you mean train.epochs"),
        (["--set", "train.epochs=many"], "train.epochs='many' must be a whole number"),
        (["--set", "train.replicas=3"], "not divisible by train.replicas=3"),
        (["--config", "absent.json"], "absent.json: cannot read the configuration"),
    ],
)
def test_wrong_configuration_is_one_sentence_and_exit_2(tmp_path, monkeypatch, capsys, options, told):
    monkeypatch.chdir(tmp_path)
    assert main(["run", *options]) == 2
    out, err = capsys.readouterr()
    assert told in err and err.startswith("shiftvit: ") and err.count("\n") == 1 and out == ""
    assert list(tmp_path.iterdir()) == [], "something was written"


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ([], "`shiftvit` needs COMMAND (run, tune,"),
        (["rum"], "`shiftvit` has no command 'rum'; did you mean run"),
        (["kubeflow", "rehearsal"], "`shiftvit kubeflow` has no command 'rehearsal'; did you mean rehearse?"),
        (["completion", "csh"], "`shiftvit completion` has no SHELL 'csh'; did you mean zsh"),
        (["run", "--prest", "cifar10"], "`shiftvit run` has no option --prest; did you mean --preset"),
        (["run", "--wor=w"], "`shiftvit run` has no option --wor; did you mean --workspace"),
        (["run", "cifar10"], "`shiftvit run` takes no argument 'cifar10'; `shiftvit run --help` shows how"),
        (["run", "--preset"], "--preset needs a value; `shiftvit run --help` shows how"),
        (["predict"], "`shiftvit predict` needs IMAGE; `shiftvit predict --help` shows how"),
        (["predict", "--version", "new", "a.png"], "--version='new' must be a whole number"),
        (["bench", "--seconds", "many"], "--seconds='many' must be a number"),
        (["rollback", "last"], "N='last' must be a whole number"),
    ],
)
def test_wrong_usage_is_one_sentence_with_the_way_out_and_exit_2(capsys, arguments, told):
    assert main(arguments) == 2
    out, err = capsys.readouterr()
    assert err.startswith(f"shiftvit: {told}") and err.count("\n") == 1 and out == ""


def parsers(parser):
    """Yields every parser of a command that does something."""
    below = [action.choices for action in parser._actions if isinstance(action, argparse._SubParsersAction)]
    for choices in below:
        for command in choices.values():
            yield from parsers(command)
    if not below:
        yield parser


def examples_of(parser):
    """Returns the example commands of a parser's help, as words, without what a shell does with them."""
    shown = re.sub(r"\\\n\s+", "", parser.epilog.partition("examples:\n")[2])
    lines = [line.strip().removeprefix("source <(") for line in shown.splitlines() if not line.startswith("   ")]
    commands = [re.split(r" {3,}| > |\)", line)[0] for line in lines if line and not line.startswith("TF_CONFIG")]
    return [shlex.split(command) for command in commands]


@pytest.mark.parametrize("parser", parsers(make_parser()), ids=lambda parser: parser.prog)
def test_the_help_of_every_command_has_examples_that_are_right_and_true_defaults(parser):
    shown = examples_of(parser)
    assert shown and all(" ".join(words).startswith(parser.prog) for words in shown)
    for words in shown:
        arguments = make_parser().parse_args(words[1:])
        if hasattr(arguments, "preset") and hasattr(arguments, "config") and arguments.config is None:
            resolve(arguments)
    for action in parser._actions:
        if action.option_strings and action.default not in (None, False, [], "", argparse.SUPPRESS):
            told = f"{action.default:g}" if isinstance(action.default, float) else str(action.default)
            assert f"default: {told})" in action.help % (vars(action) | {"prog": parser.prog})


def test_the_defaults_of_the_configuration_are_told_as_they_are(capsys):
    with pytest.raises(SystemExit):
        main(["run", "--help"])
    told = " ".join(capsys.readouterr().out.split())
    assert f"(default: {resolved().preset})" in told and f"(default: {resolved().workspace})" in told


@pytest.mark.parametrize("arguments", [["--help"], ["run", "--help"], ["tune", "--help"], ["--version"]])
def test_help_loads_nothing_heavy(arguments):
    heavy = ("tensorflow", "tfx", "apache_beam", "ml_metadata", "rich", "PIL")
    code = (
        f"import sys\nfrom pipeline.cli import main as cli\ntry:\n cli.main({arguments})\nexcept SystemExit as end:\n"
        f" assert not end.code\nloaded = [m for m in {heavy} if m in sys.modules]\nassert not loaded, loaded"
    )
    subprocess.run([sys.executable, "-c", code], check=True, stdout=subprocess.DEVNULL)


@pytest.mark.parametrize("command", [["runs"], ["versions"]])
def test_lists_of_an_empty_workspace_say_how_to_start(tmp_path, capsys, command):
    assert main([*command, "--workspace", str(tmp_path / "none")]) == 0
    assert "`shiftvit run`" in capsys.readouterr().out
    assert main([*command, "--workspace", str(tmp_path / "none"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == []
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize("command", [["show"], ["predict", "x.png"], ["rollback", "3"]])
def test_commands_that_need_a_run_say_how_to_get_one(tmp_path, capsys, command):
    assert main([*command, "--workspace", str(tmp_path)]) == 2
    assert "`shiftvit run`" in capsys.readouterr().err


CHILD = """
import json, os, sys
def send(**event):
    os.write(int(sys.argv[-1]), (json.dumps(event) + "\\n").encode())
send(event="plan", nodes=["Trainer"])
send(event="node", node="Trainer", state="running")
"""


@pytest.fixture
def execute(tmp_path, monkeypatch):
    """Runs `shiftvit run`, or another command, with a small child in the place of the graph."""

    def execute(body, command="run", *options):
        (tmp_path / "child.py").write_text(CHILD + textwrap.dedent(body))
        monkeypatch.setattr(launch, "CHILD", (sys.executable, str(tmp_path / "child.py")))
        return main([command, "--workspace", str(tmp_path / "workspace"), *options])

    return execute


def runs(tmp_path, capsys):
    capsys.readouterr()
    assert main(["runs", "--json", "--workspace", str(tmp_path / "workspace")]) == 0
    return json.loads(capsys.readouterr().out)


def test_run_ends_with_what_was_pushed(tmp_path, capsys, execute):
    assert (
        execute("""
        send(event="node", node="Trainer", state="complete")
        result = dict(event="result", pushed_version="17", new=True, destination="w/serving/shiftvit/17",
                      metrics={"top1": 0.931, "top5": 0.998}, reasons=[])
        send(**result)
        json.dump(result, open(os.path.join(sys.argv[sys.argv.index("--run-dir") + 1], "result.json"), "w"))
    """)
        == 0
    )
    out, err = capsys.readouterr()
    assert out == "Pushed version 17 to w/serving/shiftvit: top-1 93.1%, top-5 99.8% on the test split.\n"
    assert err.splitlines()[0] == "Trainer: running" and err.splitlines()[1].startswith("Trainer: complete")
    (told,) = runs(tmp_path, capsys)
    assert (told["state"], told["pushed_version"], told["metrics"]["top1"]) == ("complete", "17", 0.931)
    assert main(["show", "--workspace", str(tmp_path / "workspace")]) == 0
    page = capsys.readouterr().out
    assert f"Run {told['id']}: complete" in page and "Pushed version 17" in page and "train.batch_size=64" in page


TUNED = """
assert "--search-only" in sys.argv
result = dict(event="result", reasons=[], search=dict(objective="val_top1", trials=dict(completed=3, failed=1),
              best=dict(id="02", score=0.712, values={"train.learning_rate": 0.0021}), report="w/report.html"))
send(**result)
json.dump(result, open(os.path.join(sys.argv[sys.argv.index("--run-dir") + 1], "result.json"), "w"))
"""


def test_tune_ends_with_the_best_setting_and_is_a_complete_run_that_pushed_nothing(tmp_path, capsys, execute):
    assert execute(TUNED, "tune") == 0
    told = "Best of 4 trials: val_top1 71.2% with train.learning_rate=0.0021; report: w/report.html\n"
    assert capsys.readouterr().out == told
    (found,) = runs(tmp_path, capsys)
    assert (found["state"], found["pushed_version"], found["metrics"]) == ("complete", None, {})
    assert main(["show", "--workspace", str(tmp_path / "workspace")]) == 0
    assert told in capsys.readouterr().out


def test_tune_whose_watcher_was_killed_after_its_end_is_complete(tmp_path, capsys, execute):
    execute(TUNED, "tune")
    (outcome,) = (tmp_path / "workspace" / "runs").glob("*/outcome.json")
    outcome.unlink()
    assert runs(tmp_path, capsys)[0]["state"] == "complete"


def test_json_of_a_search_is_all_that_came_of_it(tmp_path, capsys, execute):
    assert execute(TUNED, "tune", "--json") == 0
    told = json.loads(capsys.readouterr().out)
    (folder,) = (tmp_path / "workspace" / "runs").iterdir()
    assert (told["run"], told["exit_code"], told["message"]) == (folder.name, 0, None)
    assert told["result"]["search"]["best"]["values"] == {"train.learning_rate": 0.0021}


def test_json_of_a_run_that_fails_has_the_sentence_that_stderr_has(capsys, execute):
    failure = """
        send(event="error", message="a.bin: label 200 at offset 3073", exit_code=3)
        sys.exit(3)
    """
    assert execute(failure, "run", "--json") == 3
    out, err = capsys.readouterr()
    told = json.loads(out)
    assert (told["exit_code"], told["message"], told["result"]) == (3, "a.bin: label 200 at offset 3073", None)
    assert err.splitlines()[-1] == "shiftvit: a.bin: label 200 at offset 3073"


def test_tune_that_fails_says_why(tmp_path, capsys, execute):
    failure = """
        send(event="error", message="every trial of the search failed", exit_code=1)
        sys.exit(1)
    """
    assert execute(failure, "tune") == 1
    assert capsys.readouterr().err.splitlines()[-1] == "shiftvit: every trial of the search failed"
    assert runs(tmp_path, capsys)[0]["state"] == "failed"


def test_tune_without_a_search_says_what_to_set(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["tune", "--preset", "cifar10-cpu"]) == 2
    out, err = capsys.readouterr()
    assert "as in --set tune.trials=12" in err and err.count("\n") == 1 and out == ""
    assert list(tmp_path.iterdir()) == [], "something was written"


def test_run_is_not_a_search_alone(execute):
    assert (
        execute("""
        assert "--search-only" not in sys.argv
        send(event="result", pushed_version=None, metrics={}, reasons=["top-1 too low"])
        sys.exit(4)
    """)
        == 4
    )


def test_run_that_finds_its_model_rolled_back_says_so(tmp_path, capsys, execute):
    for version in (17, 18):
        folder = tmp_path / "workspace" / "serving" / "shiftvit" / str(version)
        folder.mkdir(parents=True)
        (folder / "saved_model.pb").write_text("")
    assert (
        execute(f"""
        send(event="result", pushed_version="17", new=False, destination={str(tmp_path)!r} + "/17", metrics={{}})
    """)
        == 0
    )
    assert "Version 18 is served instead of it; `shiftvit rollback 17`" in capsys.readouterr().out


def test_model_that_is_not_good_enough_exits_4_with_the_reason(tmp_path, capsys, execute):
    assert (
        execute("""
        send(event="result", pushed_version=None, new=False, destination="w", metrics={"top1": 0.4},
             reasons=["top-1 is 0.400, 0.500 below the bound 0.900"])
        sys.exit(4)
    """)
        == 4
    )
    assert capsys.readouterr().err.splitlines()[-1] == (
        "shiftvit: not pushed: top-1 is 0.400, 0.500 below the bound 0.900"
    )
    assert runs(tmp_path, capsys)[0]["state"] == "not blessed"


def test_bad_data_exits_3_with_the_sentence(tmp_path, capsys, execute):
    assert (
        execute("""
        send(event="node", node="Trainer", state="failed")
        send(event="error", message="a.bin: label 200 at offset 3073", exit_code=3)
        sys.exit(3)
    """)
        == 3
    )
    out, err = capsys.readouterr()
    assert out == "" and err.splitlines()[-1] == "shiftvit: a.bin: label 200 at offset 3073"
    (told,) = runs(tmp_path, capsys)
    assert (told["state"], told["message"]) == ("failed", "a.bin: label 200 at offset 3073")


def test_run_whose_watcher_was_killed_is_interrupted(tmp_path, capsys, execute):
    execute("sys.exit(1)")
    (outcome,) = (tmp_path / "workspace" / "runs").glob("*/outcome.json")
    outcome.unlink()
    assert runs(tmp_path, capsys)[0]["state"] == "interrupted"


def test_component_left_running_by_a_dead_run_was_interrupted(tmp_path):
    executions = tuple(
        Execution(number, node, "r", state, 0.0, 1.0, {}, {})
        for number, (node, state) in enumerate([("Ingest", "cached"), ("Tuner", "complete"), ("Trainer", "running")])
    )
    dead, alive = (
        Run(RunFolder(tmp_path), state, None, None, {}, {}, executions) for state in ("interrupted", "running")
    )
    assert dead.describe_components() == "1 cached, 1 complete, Trainer interrupted"
    assert alive.describe_components() == "1 cached, 1 complete, Trainer running"


def test_unknown_run_is_told_with_the_nearest(tmp_path, capsys, execute):
    execute("sys.exit(1)")
    capsys.readouterr()
    assert main(["show", "20200101-000000", "--workspace", str(tmp_path / "workspace")]) == 2
    assert "no run '20200101-000000'" in capsys.readouterr().err


def test_conclusion_when_the_model_was_pushed_before():
    told = conclusion(RunResult(pushed_version="17", destination="serving/17", metrics={"top1": 0.931}))
    assert told == "Nothing new to push: version 17 in serving is this model (top-1 93.1% on the test split)."


FEW = [f"--set=shapes.{split}={count}" for split, count in (("train", 20), ("eval", 10), ("test", 10))]


def test_data_prints_the_identity_of_the_source(tmp_path, capsys):
    assert main(["data", "--workspace", str(tmp_path), *FEW]) == 0
    out, err = capsys.readouterr()
    assert "train 20, eval 10, test 10" in out and "sha256" in out and "Source: complete" in err


def test_json_of_data_is_the_identity_of_the_source(tmp_path, capsys):
    assert main(["data", "--json", "--workspace", str(tmp_path), *FEW]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["kind"], told["counts"]) == ("shapes", {"train": 20, "eval": 10, "test": 10})
    assert (tmp_path / "sources" / f"shapes-{told['sha256'][:16]}") == Path(told["folder"])


def test_data_that_does_not_exist_exits_3(tmp_path, capsys):
    assert main(["data", "--workspace", str(tmp_path), "--data", str(tmp_path / "absent")]) == 3
    assert "absent: no such file or folder" in capsys.readouterr().err


def test_predict_refuses_before_it_prints(tmp_path, capsys):
    (tmp_path / "serving" / "shiftvit" / "5").mkdir(parents=True)
    (tmp_path / "serving" / "shiftvit" / "5" / "saved_model.pb").write_bytes(b"")
    (tmp_path / "notes.txt").write_text("no image")
    assert main(["predict", str(tmp_path / "notes.txt"), "--workspace", str(tmp_path)]) == 3
    out, err = capsys.readouterr()
    assert out == "" and "notes.txt: not a PNG or JPEG" in err


def test_reader_that_stops_early_is_no_error(tmp_path):
    for number in range(700):
        (tmp_path / "runs" / f"20261123-{number:06}").mkdir(parents=True)
    command = f"{sys.executable} -m pipeline.cli.main runs --json --workspace {tmp_path} | head -1"
    ended = subprocess.run(command, shell=True, capture_output=True, check=True, cwd=cli.__file__.rsplit("/", 3)[0])
    assert (ended.stdout, ended.stderr) == (b"[\n", b"")
