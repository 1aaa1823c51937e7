"""Every command that the documents show is run, or checked as far as it can be: then CHECKED says why."""

import os
import shlex
import subprocess
import sys

import documents
import pytest
from documents import DOCUMENTS, OF_A_WORKSPACE, ROOT, split

from pipeline.cli.main import main, make_parser
from pipeline.cli.options import resolve

RUN_HERE = ("shiftvit kubeflow worker-job",)  # by how a command begins
CHECKED = {  # by how a command begins: why it is not run. Parsed, and its configuration resolved, it is all the same
    "make": "takes minutes; that it has such a target is looked up",
    "shiftvit run": "trains for minutes to hours, most on data that is not here; test_pipeline.py runs the quickstart",
    "shiftvit tune": "trains for minutes to hours; test_search_and_resume.py has a search",
    "shiftvit train": "needs a second host; tests/pipeline/cli/test_train_command.py trains with two workers",
    "shiftvit compare": "needs two runs of these very ids; tests/pipeline/reports/test_comparison.py compares runs",
    "shiftvit serve": "serves until it is stopped; tests/pipeline/serving asks it",
    "docker run": "needs a container engine",
    "shiftvit bench": "takes minutes; tests/benchmarks/test_bench.py runs every benchmark",
    "shiftvit kubeflow compile": "tests/pipeline/runners/kubeflow/test_compile.py compiles this very graph",
    "shiftvit kubeflow rehearse": "takes ten minutes; tests/pipeline/runners/kubeflow has rehearsals",
    "shiftvit kubeflow submit": "needs a cluster; tests/pipeline/runners/kubeflow/test_submit.py has a server",
    "python -m tuner.worker": "needs a second host; tests/tuner/test_search.py starts workers",
}
# Those of extending.md are run or resolved in the copy of the project that knows its extensions.
WRITTEN = [
    (path.name, command) for path in DOCUMENTS for command in documents.commands(path) if path.name != "extending.md"
]
MENTIONED = [(path.name, command) for path in DOCUMENTS for command in documents.mentions(path)]
PLACEHOLDERS = {"N": "1795449784", "FOLDER": "folder", "HOST": "host"}


def begins(command, with_any):
    """Says whether the words of a command begin with those of one of the others."""
    _, words = split(command)
    return any(words[: len(shlex.split(other))] == shlex.split(other) for other in with_any)


def group(command):
    """Returns the tables that a command is in."""
    found = ["OF_A_WORKSPACE"] if command in OF_A_WORKSPACE else []
    found += ["RUN_HERE"] if begins(command, RUN_HERE) else []
    return found + (["CHECKED"] if begins(command, CHECKED) else [])


def parse(words):
    """Parses a command of ours, and resolves the configuration that it gives."""
    arguments = make_parser().parse_args([PLACEHOLDERS.get(word, word) for word in words[1:]])
    if hasattr(arguments, "preset") and hasattr(arguments, "config") and arguments.config is None:
        resolve(arguments)


@pytest.mark.parametrize(("document", "command"), WRITTEN)
def test_every_command_is_in_one_of_the_tables(document, command):
    sets_alone = command.startswith("export ")
    assert sets_alone or len(group(command)) == 1, f"{document}: `{command}` is in {group(command) or 'none of them'}"


@pytest.mark.parametrize("entry", [*OF_A_WORKSPACE, *RUN_HERE, *CHECKED])
def test_no_table_has_what_no_document_shows(entry):
    assert any(begins(command, [entry]) for _, command in WRITTEN)


@pytest.mark.parametrize(("document", "command"), [w for w in WRITTEN if split(w[1])[1][0] == "shiftvit"])
def test_every_command_of_ours_is_parsed_and_its_configuration_holds(document, command):
    parse(split(command)[1])


@pytest.mark.parametrize(("document", "command"), MENTIONED)
def test_every_command_of_ours_in_the_running_text_is_parsed(document, command):
    words = shlex.split(command)
    if len(words) > 2 or words[1] not in ("completion", "kubeflow", "train", "predict", "rollback"):
        parse([word for word in words if word != "..."])
    else:  # the command's name alone
        assert main([*words[1:], "--no-such-option"]) == 2


@pytest.mark.parametrize("command", [command for _, command in WRITTEN if begins(command, RUN_HERE)])
def test_what_is_cheap_is_run(tmp_path, monkeypatch, command):
    monkeypatch.chdir(tmp_path)
    assert main(split(command)[1][1:]) == 0
    assert any(tmp_path.iterdir())


@pytest.mark.parametrize("command", sorted({command for _, command in WRITTEN if begins(command, ["make"])}))
def test_make_has_every_target(command):
    told = subprocess.run([*shlex.split(command), "--dry-run"], cwd=ROOT, check=True, capture_output=True, text=True)
    assert "Nothing to be done" not in told.stdout, "that is a folder, and no target"


@pytest.mark.parametrize("command", sorted({c for _, c in WRITTEN if begins(c, ["python -m tuner.worker"])}))
def test_a_worker_of_a_search_takes_its_folder_and_asks_for_no_other_variables(command):
    variables, words = split(command)
    environment = {name: value for name, value in os.environ.items() if not name.startswith("KERASTUNER")}
    told = subprocess.run([sys.executable, *words[1:]], cwd=ROOT, env=environment, capture_output=True, text=True)
    assert told.returncode == 2 and all(name in told.stderr for name in variables)
