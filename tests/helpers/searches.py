"""Small searches, their search spaces, and what can be observed of them."""

import contextlib
import json
import os
import subprocess
import sys
from pathlib import Path

from shiftvit.config import DataConfig, ExperimentConfig, ModelConfig, TrainConfig
from tuner.config import TuneConfig
from tuner.search import Search

ROOT = Path(__file__).parents[2]
PYTHON_PATH = {"PYTHONPATH": f"{ROOT}{os.pathsep}{Path(__file__).parent}"}
EXPERIMENT = ExperimentConfig(
    ModelConfig(patch_size=8, dims=(8, 16), depths=(1, 1), n_div=4, drop_path=0.0),
    DataConfig(crop_padding=0, flip=False),
    TrainConfig(batch_size=32, precision="float32"),
)
CRASHING_IMAGE_SIZE = 1024  # of `dangerous`: needs more memory than any machine has
DIVERGING_RATE, DIVERGING_DECAY, DIVERGING_STEPS = 1.0, 100.0, 20  # multiplies the weights by -99 at every step


def rates(hp, experiment):
    """Declares one range."""
    hp.Float("train.learning_rate", 1e-4, 1e-2, sampling="log", default=experiment.train.learning_rate)


def dangerous(hp, experiment):
    """Declares choices of which one runs out of memory and one diverges; the defaults do neither."""
    hp.Choice("model.image_size", [32, CRASHING_IMAGE_SIZE], default=32)
    with hp.conditional_scope("model.image_size", [CRASHING_IMAGE_SIZE]):
        hp.Fixed("model.patch_size", 1)
        hp.Fixed("model.dims", "1024,1024")
    hp.Choice("train.learning_rate", [1e-3, 2e-3, DIVERGING_RATE], default=1e-3)
    hp.Fixed("train.weight_decay", DIVERGING_DECAY)


def hopeless(hp, experiment):
    """Declares choices of which one learns nothing; the seed of these searches draws it last."""
    hp.Choice("train.learning_rate", [2e-3, 1e-3, 1e-12, 3e-3], default=1e-3)


def deadly(hp, experiment):
    """Declares choices that all diverge."""
    hp.Choice("train.learning_rate", [DIVERGING_RATE, 0.9 * DIVERGING_RATE])
    hp.Fixed("train.weight_decay", DIVERGING_DECAY)


def empty(hp, experiment):
    """Declares nothing."""


def unknown(hp, experiment):
    """Declares a setting that does not exist."""
    hp.Float("train.learning_rat", 0.1, 1.0)


def make(examples, folder, **tune) -> Search:
    """Returns a search over learning rates whose trials have two epochs of four steps; `tune` changes the settings."""
    return Search(settings(**tune), EXPERIMENT, *files(examples), Path(folder))


def settings(**tune) -> TuneConfig:
    """Returns the settings of `make`."""
    return TuneConfig(**{"trials": 2, "epochs": 2, "steps_per_epoch": 4, "space": "searches.rates"} | tune)


def files(examples) -> tuple[list[str], list[str]]:
    """Returns the file patterns of the training and eval splits."""
    return [f"{examples}/Split-train/*"], [f"{examples}/Split-eval/*"]


def start(examples, folder, **tune) -> subprocess.Popen:
    """Starts the search of `make` in its own process, which prints the results as JSON when it ends."""
    program = (
        "import json, sys, searches; from tuner.results import to_json; "
        "search = searches.make(*sys.argv[1:3], **json.loads(sys.argv[3])); search.search(); "
        "print(to_json(search.results()))"
    )
    return subprocess.Popen(
        [sys.executable, "-c", program, str(examples), str(folder), json.dumps(tune)],
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | PYTHON_PATH,
    )


def start_worker(folder, environment, **options) -> subprocess.Popen:
    """Starts a worker as a user does on another host."""
    return subprocess.Popen(
        [sys.executable, "-m", "tuner.worker", str(folder)], env=os.environ | PYTHON_PATH | environment, **options
    )


def finished(folder) -> dict[str, int]:
    """Returns the modification time of the history of each trial that KerasTuner recorded as completed."""
    files = [file for file in folder.glob("trial_*/trial.json") if '"COMPLETED"' in file.read_text()]
    return {file.parent.name: (file.parent / "history.csv").stat().st_mtime_ns for file in files}


def processes_with(text: str) -> set[int]:
    """Returns the processes whose command line contains `text`."""
    found = set()
    for pid in filter(str.isdigit, os.listdir("/proc")):
        with contextlib.suppress(OSError):  # it has ended
            if text in Path(f"/proc/{pid}/cmdline").read_text():
                found.add(int(pid))
    return found


def peak_memory(pid: int) -> int:
    """Returns the peak memory of the process in KiB, or 0 if it has ended."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith("VmHWM")), 0)
