"""The quickstart in a folder whose name libraries take for a pattern, options for options and shells for code."""

import json
import re
import subprocess

import pytest
from documents import ROOT
from PIL import Image
from small_runs import ENVIRONMENT, PROGRAM, run_arguments

from pipeline.graph.nodes import Node

pytestmark = pytest.mark.slow

NAME = "proj [2024]{a,b}*?#%\\ 'caf\u00e9' $HOME; ~&\""
WORKSPACE = "--workspace=-work [1]*"  # relative, and like an option where it stands alone


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    folder = tmp_path_factory.mktemp("home") / NAME
    folder.mkdir()
    return folder


def shiftvit(folder, command, *arguments):
    environment = ENVIRONMENT | {"PYTHONPATH": f"{ROOT}:{ENVIRONMENT['PYTHONPATH']}"}
    command = [*PROGRAM, command, WORKSPACE, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=folder)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_run_pushes_a_model_predict_uses_it_and_the_next_run_is_cached(project):
    command, _, _, *settings = run_arguments("", lite__enabled="true", lite__min_int8_agreement=0.0)
    Image.new("RGB", (40, 40), "red").save(project / "-photo [1].png")

    pushed = shiftvit(project, command, *settings)
    predicted = json.loads(shiftvit(project, "predict", "--json", "--", "-photo [1].png"))
    again = shiftvit(project, command, *settings)

    assert re.match(rf"Pushed version \d+ to {re.escape(str(project))}/-work \[1\]\*/serving/shiftvit: ", pushed)
    assert [prediction["path"] for prediction in predicted] == ["-photo [1].png"]
    assert again.startswith("Nothing new to push")
    states = json.loads(shiftvit(project, "show", "--json"))["components"]
    assert {node for node, state in states.items() if state == "cached"} == {*Node} - {Node.BASELINE}
    left = [path for path in project.rglob("*") if path.is_file() and re.search(rb"/proc/\d+/fd", path.read_bytes())]
    assert {path.name for path in left} <= {"log.txt"}, "what is kept has the folder's own name"
