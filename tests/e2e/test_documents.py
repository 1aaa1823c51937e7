"""Every command in the documentation is run, or at least parsed; NOT_RUN gives the reason. Links and paths exist."""

import os
import re
import shlex
import subprocess
import sys

import documents
import pytest
from documents import DOCUMENTS, ROOT, WORKSPACE_COMMANDS, split

from pipeline.cli.main import main, make_parser
from pipeline.cli.options import resolve

# The keys of both tables are the first words of a command.
RUN_HERE = ("shiftvit kubeflow worker-job",)
NOT_RUN = {  # the reason; commands of `shiftvit` are parsed all the same, and their configuration is resolved
    "make": "takes minutes; only the target is checked",
    ".venv/bin/pytest": "takes minutes; only the paths are checked",
    "pre-commit install": "needs pre-commit; its hooks are the commands of `make lint`",
    "shiftvit run": "trains for minutes to hours, mostly on data that is not here; test_pipeline.py runs the graph",
    "shiftvit tune": "trains for minutes to hours; test_search_and_resume.py has a search",
    "shiftvit data": "reads data that is not here; tests/pipeline/sources prepares archives and folders",
    "shiftvit train": "needs a second host; tests/pipeline/cli/test_train_command.py trains with two workers",
    "shiftvit compare": "needs two runs with these ids; tests/pipeline/reports/test_comparison.py compares runs",
    "shiftvit serve": "serves until it is stopped; tests/pipeline/serving sends requests",
    "docker run": "needs a container engine",
    "shiftvit bench": "takes minutes; tests/benchmarks/test_bench.py runs every benchmark",
    "shiftvit kubeflow compile": "tests/pipeline/runners/kubeflow/test_compile.py compiles this graph",
    "shiftvit kubeflow rehearse": "takes ten minutes; tests/pipeline/runners/kubeflow has rehearsals",
    "shiftvit kubeflow submit": "needs a cluster; tests/pipeline/runners/kubeflow/test_submit.py has a server",
    "python -m tuner.worker": "needs a second host; tests/tuner/test_workers.py starts one",
}
# Commands of extending.md run in the copy of the project that has its extensions: see extensions_at_work.py.
WRITTEN = [
    (path.name, command) for path in DOCUMENTS for command in documents.commands(path) if path.name != "extending.md"
]
MENTIONED = [(path.name, command) for path in DOCUMENTS for command in documents.mentions(path)]
PLACEHOLDERS = {"N": "1795449784", "FOLDER": "folder", "HOST": "host"}
FOLDERS = "charts|shiftvit|benchmarks|tuner|components|pipeline|docs|tests"


def starts_with(command, beginnings):
    """Returns whether the words of a command start with those of one of `beginnings`."""
    _, words = split(command)
    return any(words[: len(shlex.split(beginning))] == shlex.split(beginning) for beginning in beginnings)


def tables_of(command):
    """Returns the names of the tables that a command is in."""
    found = ["WORKSPACE_COMMANDS"] if command in WORKSPACE_COMMANDS else []
    found += ["RUN_HERE"] if starts_with(command, RUN_HERE) else []
    return found + (["NOT_RUN"] if starts_with(command, NOT_RUN) else [])


def parse(words):
    """Parses a `shiftvit` command and resolves its configuration."""
    arguments = make_parser().parse_args([PLACEHOLDERS.get(word, word) for word in words[1:]])
    if hasattr(arguments, "preset") and hasattr(arguments, "config") and arguments.config is None:
        resolve(arguments)


def commands_starting_with(*beginnings):
    return sorted({command for _, command in WRITTEN if starts_with(command, beginnings)})


@pytest.mark.parametrize(("document", "command"), WRITTEN)
def test_every_command_is_in_exactly_one_table(document, command):
    only_sets_variables = command.startswith("export ")

    assert only_sets_variables or len(tables_of(command)) == 1, f"{document}: `{command}` is in {tables_of(command)}"


@pytest.mark.parametrize("entry", [*WORKSPACE_COMMANDS, *RUN_HERE, *NOT_RUN])
def test_every_entry_of_the_tables_is_in_a_document(entry):
    assert any(starts_with(command, [entry]) for _, command in WRITTEN)


@pytest.mark.parametrize(("document", "command"), [w for w in WRITTEN if split(w[1])[1][0] == "shiftvit"])
def test_shiftvit_commands_parse_and_their_configuration_is_valid(document, command):
    parse(split(command)[1])


@pytest.mark.parametrize(("document", "command"), MENTIONED)
def test_shiftvit_commands_in_running_text_parse(document, command):
    words = [word for word in shlex.split(command) if word != "..."]
    if all(re.fullmatch(r"[a-z-]+", word) and not word.startswith("--") for word in words):
        with pytest.raises(SystemExit, match="0"):  # the name of a command, without its arguments
            make_parser().parse_args([*words[1:], "--help"])
    else:
        parse(words)


@pytest.mark.parametrize("command", commands_starting_with(*RUN_HERE))
def test_cheap_commands_run(tmp_path, monkeypatch, command):
    monkeypatch.chdir(tmp_path)

    assert main(split(command)[1][1:]) == 0
    assert any(tmp_path.iterdir())


@pytest.mark.parametrize("command", commands_starting_with("make"))
def test_make_has_every_target(command):
    done = subprocess.run([*shlex.split(command), "--dry-run"], cwd=ROOT, check=True, capture_output=True, text=True)

    assert "Nothing to be done" not in done.stdout, "that is a folder, not a target"


@pytest.mark.parametrize("command", commands_starting_with("python -m tuner.worker"))
def test_search_worker_takes_a_folder_and_asks_for_exactly_the_documented_variables(command):
    variables, words = split(command)
    environment = {name: value for name, value in os.environ.items() if not name.startswith("KERASTUNER")}

    done = subprocess.run([sys.executable, *words[1:]], cwd=ROOT, env=environment, capture_output=True, text=True)

    assert done.returncode == 2 and all(name in done.stderr for name in variables)


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda document: str(document.relative_to(ROOT)))
def test_links_lead_to_files_and_headings(document):
    for target, anchor in documents.links(document):
        file = (document.parent / target).resolve() if target else document
        assert file.exists(), f"there is no {target}"
        assert not anchor or anchor in documents.anchors(file), f"{target} has no heading #{anchor}"


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda document: str(document.relative_to(ROOT)))
def test_paths_in_the_text_exist(document):
    created = set(re.findall(r"^# (\S+\.py)$", document.read_text(), re.MULTILINE))  # files that a page shows
    for path in re.findall(rf"`((?:{FOLDERS})/[\w./-]*)`", document.read_text()):
        assert path in created or (ROOT / path).exists(), f"there is no {path}"


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda document: str(document.relative_to(ROOT)))
def test_names_in_the_text_are_defined_in_their_module(document):
    for name, path in re.findall(rf"`(\w+)(?:\(\))?`\s+in\s+`((?:{FOLDERS})/[\w./]+\.py)`", document.read_text()):
        assert re.search(rf"\b{name}\b", (ROOT / path).read_text()), f"{path} has no {name}"
