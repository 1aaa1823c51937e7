"""The promise of a run, whatever surrounds it: it pushes a model, or says in a sentence why it cannot."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.cli.main import main
from pipeline.runs.workspace import Workspace
from pipeline.sources import shapes

ENTRY = Path(__file__).parents[2] / "shiftvit_pipeline.py"
SETTINGS = (
    "shapes.train=64",
    "shapes.eval=32",
    "shapes.test=32",
    "tune.trials=0",
    "train.epochs=1",
    "train.batch_size=16",
    "evaluate.min_top1=0",
    "evaluate.min_top5=0",
    "evaluate.max_ece=1",
    "evaluate.min_corrupted_top1=0",
    "canary.images=2",
    "canary.timeout=1200",
    "canary.max_latency_ms=60000",
)
_NOISE = re.compile(r"Traceback|Exception ignored|Error in sys|Fatal Python")


def run(surrounding, folder):
    """Runs the quickstart in a surrounding; returns the process and its workspace."""
    project, here = folder / surrounding.folder, folder / "here"
    project.mkdir()
    here.mkdir()
    workspace = project / "w"
    settings = (f"--set={setting}" for setting in (*SETTINGS, *surrounding.settings))
    program = [sys.executable, ENTRY, "pipeline.cli.main", "run", "--workspace", workspace, *settings]
    environment = {**os.environ, "HERE": str(here), **surrounding.environment}
    done = subprocess.run(
        ["bash", "-c", surrounding.shell, "bash", *program],
        cwd=project,
        env={name: value for name, value in environment.items() if value is not None},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        encoding="latin-1",
    )
    return done, workspace


def sentences(done):
    return [line for line in (done.stdout + done.stderr).splitlines() if line.startswith("shiftvit: ")]


def check(surrounding, folder):
    """Checks the promise in one surrounding."""
    if subprocess.run(["bash", "-c", surrounding.needs], capture_output=True).returncode:
        pytest.skip("this machine cannot make it")

    done, workspace = run(surrounding, folder)

    said = f"{done.returncode}\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}"
    assert done.returncode in surrounding.codes, said
    assert not _NOISE.search(done.stdout + done.stderr), said
    interrupted = done.returncode == 130
    assert interrupted or not list(folder.rglob("*.partial")), "half-written files stay behind"
    versions = list(Workspace(workspace).serving.glob("*"))
    if done.returncode == 0:
        assert len(versions) == 1, said
        assert answers(workspace, folder)
    else:
        assert len(sentences(done)) == (0 if surrounding.unseen else 1), said


def answers(workspace, folder):
    """Returns whether `predict` answers with the pushed version."""
    from PIL import Image

    [(image, _)] = zip(*shapes.draw(1, 0, "test"), strict=True)
    Image.fromarray(image).save(folder / "image.png")
    return main(["predict", str(folder / "image.png"), "--workspace", str(workspace)]) == 0
