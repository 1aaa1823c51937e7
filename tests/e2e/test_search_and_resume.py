"""The real graph on a small drawn set: a search followed by a run, a killed run, and TFX's own command line."""

import os
import re
import subprocess
import sys

import pytest
from small_runs import ENVIRONMENT, PROGRAM, epochs_done, run_arguments, shiftvit, show, trained_rate
from waiting import wait_until

from pipeline.graph.nodes import Node
from pipeline.runners.local import runner

pytestmark = pytest.mark.slow

NODES = set(Node) - {Node.LITE_EXPORT}
NODES_OF_A_SEARCH = NODES - {Node.TRAINER, Node.BASELINE, Node.EVALUATOR, Node.CANARY, Node.PUSHER}


def test_run_takes_its_search_from_an_earlier_tune_command(tmp_path):
    settings = {"tune__algorithm": "bayesian", "tune__trials": 2, "train__replicas": 1}
    searched = shiftvit(*run_arguments(tmp_path, "tune", **settings))

    assert searched.returncode == 0, searched.stderr
    assert searched.stdout.startswith("Best of 2 trials: val_top1 ")
    assert len(re.findall(r"Tuner: trial \d+ completed, score 0\.\d+ after 1 epoch in", searched.stderr)) == 2
    search = show(tmp_path)
    assert (search["state"], search["pushed_version"]) == ("complete", None)
    assert search["components"] == dict.fromkeys(NODES_OF_A_SEARCH, "complete")
    assert search["search"]["trials"] == {"completed": 2}
    assert os.path.getsize(search["search"]["report"]) and search["search"]["report"] in searched.stdout

    trained = shiftvit(*run_arguments(tmp_path, **settings))

    assert trained.returncode == 0, trained.stderr
    run = show(tmp_path)
    assert run["search"] == search["search"]
    assert {node for node, state in run["components"].items() if state == "cached"} == NODES_OF_A_SEARCH
    assert run["components"].keys() == NODES
    assert trained_rate(tmp_path) == search["search"]["best"]["values"]["train.learning_rate"]


def test_killed_run_continues_from_its_last_epoch(tmp_path):
    arguments = run_arguments(tmp_path, tune__algorithm="hyperband", train__epochs=20, train__replicas=1)
    command = [*PROGRAM, *arguments]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, env=ENVIRONMENT)
    wait_until(lambda: epochs_done(tmp_path) >= 3, process)
    process.kill()
    process.communicate()

    done = shiftvit(*arguments)

    assert done.returncode == 0, done.stderr
    assert "Tuner: cached" in done.stderr
    assert trained_rate(tmp_path) == show(tmp_path)["search"]["best"]["values"]["train.learning_rate"]
    epochs = [float(epoch) for epoch in re.findall(r"Trainer: train ([\d.]+)/20 epochs", done.stderr)]
    assert epochs[0] >= 2, "only the epoch that was being saved may be done twice"
    [history] = (tmp_path / "artifacts").glob("Trainer/model_run/*/history.csv")
    assert [int(line.split(",")[0]) for line in history.read_text().splitlines()[1:]] == list(range(20))


def test_tfx_command_line_creates_the_pipeline(tmp_path):
    path = f"{os.path.dirname(sys.executable)}:{os.environ['PATH']}:{tmp_path}"
    (tmp_path / "pip").write_text(f"#!/bin/sh\nexec uv pip freeze --python {sys.executable}\n")  # if there is no pip
    (tmp_path / "pip").chmod(0o755)
    done = subprocess.run(
        ["tfx", "pipeline", "create", "--engine", "local", "--pipeline_path", runner.__file__],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        env={**os.environ, "LOCAL_HOME": str(tmp_path / "home"), "PATH": path},
    )

    assert done.returncode == 0, done.stdout + done.stderr
    assert 'Pipeline "shiftvit" created successfully' in done.stdout + done.stderr
