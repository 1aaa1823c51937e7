"""Runs of the real graph on a small drawn set, started as a user starts them."""

import json
import os
import subprocess
import sys
from pathlib import Path

from pipeline.runs.workspace import Workspace

SETTINGS = {
    "shapes.train": 512,
    "shapes.eval": 128,
    "shapes.test": 128,
    "tune.trials": 1,
    "tune.epochs": 1,
    "tune.space": "small_space.declare",
    "train.epochs": 2,
    "train.replicas": 2,
    # Two epochs and 128 test images cannot reach more.
    "evaluate.min_top1": 0.01,
    "evaluate.min_top5": 0.1,
    "evaluate.max_top1_drop": 0.5,
    "evaluate.max_ece": 1.0,
    "evaluate.min_corrupted_top1": 0.0,
    # The machine may be busy.
    "canary.timeout": 1200,
    "canary.max_latency_ms": 60_000,
}
PROGRAM = [sys.executable, "-m", "pipeline.cli.main"]
_MODULES = filter(None, (os.path.dirname(__file__), os.environ.get("PYTHONPATH")))
ENVIRONMENT = {**os.environ, "PYTHONPATH": os.pathsep.join(_MODULES)}


def shiftvit(*arguments) -> subprocess.CompletedProcess:
    """Runs the command in a process of its own."""
    return subprocess.run([*PROGRAM, *map(str, arguments)], capture_output=True, text=True, env=ENVIRONMENT)


def run_arguments(workspace, command="run", **settings) -> list[str]:
    """Returns the arguments of a small run; a setting's key has two underscores in place of a dot."""
    chosen = SETTINGS | {key.replace("__", "."): value for key, value in settings.items()}
    return [command, "--workspace", str(workspace), *(f"--set={key}={value}" for key, value in chosen.items())]


def show(workspace, run="") -> dict:
    """Returns what `shiftvit show --json` prints about the run, by default the newest."""
    done = shiftvit("show", *filter(None, [run]), "--json", "--workspace", workspace)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def versions(workspace) -> list[Path]:
    """Returns the folders of the versions that are pushed."""
    return sorted(Workspace(workspace).serving.iterdir())


def trained_rate(workspace) -> float:
    """Returns the learning rate of the workspace's only model."""
    [experiment] = (workspace / "artifacts" / "Trainer" / "model_run").glob("*/experiment.json")
    return json.loads(experiment.read_text())["train"]["learning_rate"]


def epochs_done(workspace) -> int:
    """Returns how many epochs the training in progress has recorded."""
    files = (workspace / "training").rglob("history.csv")
    return max((len(file.read_text().splitlines()) - 1 for file in files), default=0)
