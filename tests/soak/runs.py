"""Starts small runs of the whole pipeline with the command line, and reads what they push."""

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import tensorflow as tf

from pipeline.runs.workspace import Workspace

ROOT = Path(__file__).parents[2]
_SETTINGS = {
    "shapes.train": 512,
    "shapes.eval": 128,
    "shapes.test": 128,
    "tune.trials": 2,
    "tune.epochs": 1,
    "train.epochs": 4,
    "train.deterministic": "true",
    "evaluate.min_top1": 0.01,
    "evaluate.min_top5": 0.1,
    # Four epochs and 128 test images allow no stricter bounds.
    "evaluate.max_ece": 1.0,
    "evaluate.min_corrupted_top1": 0.0,
}


def start(workspace: Path, **options) -> subprocess.Popen:
    """Starts a run in the workspace, always with the same settings."""
    settings = (f"--set={key}={value}" for key, value in _SETTINGS.items())
    return subprocess.Popen(
        [sys.executable, "-m", "pipeline.cli.main", "run", "--workspace", str(workspace), *settings],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        **options,
    )


def finish(workspace: Path) -> str:
    """Runs the pipeline, which must succeed, and returns the digest of the pushed weights."""
    process = start(workspace)
    out, err = process.communicate()
    assert process.returncode == 0, err[-2000:]
    assert out.startswith(("Pushed version ", "Nothing new to push: version ")), out
    return weights(workspace)


def weights(workspace: Path) -> str:
    """Returns a digest of all weights of the pushed model, which must be the only version."""
    [version] = versions(workspace)
    reader = tf.train.load_checkpoint(str(version / "variables" / "variables"))
    names = sorted(name for name in reader.get_variable_to_shape_map() if name.endswith("VARIABLE_VALUE"))
    assert len(names) > 20
    return hashlib.sha256(b"".join(reader.get_tensor(name).tobytes() for name in names)).hexdigest()


def versions(workspace: Path) -> list[Path]:
    """Returns the folders that TensorFlow Serving would serve as versions."""
    serving = Workspace(workspace).serving
    return [path for path in serving.iterdir() if path.name.isdecimal()] if serving.exists() else []


def tree(pid: int) -> list[int]:
    """Returns the ids of the process and all its descendants."""
    children = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            parent = int(stat.read_text().rpartition(")")[2].split()[1])
        except OSError:  # the process has just ended
            continue
        children.setdefault(parent, []).append(int(stat.parent.name))
    descendants = [pid]
    for parent in descendants:  # grows while it is iterated
        descendants += children.get(parent, [])
    return descendants
