"""Searches small enough for a test, and the spaces that they search."""

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
NO_FRIEND = {"crash": 20_000, "diverge": 1e30}  # an image size no memory holds, a rate no loss survives


def rates(hp, experiment):
    """A space of one range."""
    hp.Float("train.learning_rate", 1e-4, 1e-2, sampling="log", default=experiment.train.learning_rate)


def dangerous(hp, experiment):
    """A space in which one choice crashes, of memory, and one diverges; the default does neither."""
    hp.Choice("model.image_size", [32, NO_FRIEND["crash"]], default=32)
    hp.Choice("train.learning_rate", [1e-3, 2e-3, NO_FRIEND["diverge"]], default=1e-3)


def hopeless(hp, experiment):
    """A space in which one choice, the last that the seed of these searches comes to, learns nothing."""
    hp.Choice("train.learning_rate", [2e-3, 1e-3, 1e-12, 3e-3], default=1e-3)


def deadly(hp, experiment):
    """A space in which nothing trains."""
    hp.Choice("train.learning_rate", [NO_FRIEND["diverge"], 2 * NO_FRIEND["diverge"]])


def empty(hp, experiment):
    """A space of nothing."""


def unknown(hp, experiment):
    """A space of a key that there is not."""
    hp.Float("train.learning_rat", 0.1, 1.0)


def make(examples, folder, **tune) -> Search:
    """Returns a search of two epochs of four steps a trial, over learning rates, with the settings `tune` in place."""
    return Search(settings(**tune), EXPERIMENT, *files(examples), Path(folder))


def settings(**tune) -> TuneConfig:
    """Returns the settings of such a search."""
    return TuneConfig(**{"trials": 2, "epochs": 2, "steps_per_epoch": 4, "space": "searches.rates"} | tune)


def files(examples) -> tuple[list[str], list[str]]:
    """Returns the patterns of the training and the eval split."""
    return [f"{examples}/Split-train/*"], [f"{examples}/Split-eval/*"]


def start(examples, folder, **tune) -> subprocess.Popen:
    """Starts such a search in a process of its own, which prints its results as JSON when it ends."""
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
    """Starts a worker as one would by hand on another host."""
    return subprocess.Popen(
        [sys.executable, "-m", "tuner.worker", str(folder)], env=os.environ | PYTHON_PATH | environment, **options
    )
