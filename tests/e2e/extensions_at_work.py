"""Uses every extension of docs/extending.md; test_extending.py runs it in a copy of the project that has them."""

import json
import runpy
import subprocess
import sys
from pathlib import Path

import documents
import numpy as np
import pytest
import tensorflow as tf
import yaml

from pipeline.cli.main import main, make_parser
from pipeline.cli.options import resolve
from pipeline.config.overrides import override
from pipeline.config.presets import preset
from pipeline.graph.nodes import Node
from pipeline.sources.prepare import prepare
from shiftvit.errors import DataError
from shiftvit.features import SPLITS
from tuner import space

HERE = Path(__file__).parent
CLASSES = [f"kind {number}" for number in range(3)]
IMAGES = 20  # of each class
SETTINGS = {
    "model.network": "plain",
    "model.dims": "8,16",
    "model.depths": "1,1",
    "train.epochs": 1,
    "train.batch_size": 5,
    "tune.trials": 0,
    # So few images pass no threshold.
    "gate.max_label_drift": 1,
    "gate.max_image_drift": 1,
    "evaluate.min_top1": 0,
    "evaluate.min_top5": 0,
    "evaluate.max_ece": 1,
    "evaluate.max_top1_drop": 1,
    "evaluate.min_corrupted_top1": 0,
    "canary.max_latency_ms": 60_000,
}


@pytest.fixture(scope="module")
def archive(tmp_path_factory):
    """A NumPy archive of noise, darker or lighter by class."""
    file = tmp_path_factory.mktemp("archive") / "images.npz"
    labels = np.tile(np.arange(len(CLASSES)), IMAGES)
    noise = np.random.default_rng(0).integers(0, 60, (len(labels), 20, 20, 3))
    images = (noise + 60 * labels[:, None, None, None]).astype(np.uint8)
    np.savez(file, images=images, labels=labels, class_names=CLASSES)
    return file


@pytest.fixture(scope="module")
def workspace(archive, tmp_path_factory):
    """A workspace in which a run with every extension has pushed a model."""
    folder = tmp_path_factory.mktemp("workspace")
    done = run(archive, folder)
    assert done.returncode == 0, done.stderr
    return folder


def run(archive, workspace, **settings):
    """Runs the graph with every extension; a setting's key has two underscores in place of a dot."""
    chosen = SETTINGS | {key.replace("__", "."): value for key, value in settings.items()}
    options = ["--preset", "quickstart", "--beam", "bundles", "--data", f"npz:{archive}", "--workspace", str(workspace)]
    return subprocess.run(
        [sys.executable, "-m", "pipeline.cli.main", "run", *options, *(f"--set={k}={v}" for k, v in chosen.items())],
        cwd=HERE,
        capture_output=True,
        text=True,
    )


def test_data_command_checks_the_source(archive, tmp_path, capsys):
    assert main(["data", "--data", f"npz:{archive}", "--workspace", str(tmp_path), "--json"]) == 0

    source = json.loads(capsys.readouterr().out)
    assert (source["kind"], source["class_names"], source["image_size"]) == ("npz", CLASSES, 20)
    assert {name: sum(source["class_counts"][split][k] for split in SPLITS) for k, name in enumerate(CLASSES)} == (
        dict.fromkeys(CLASSES, IMAGES)
    )


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({}, "not a NumPy archive of images and labels"),
        ({"images": np.zeros((3, 8, 8, 3), np.uint8), "labels": [0, 1]}, "images must be uint8"),
        ({"images": np.zeros((2, 8, 8, 3)), "labels": [0, 1]}, "images must be uint8"),
        ({"images": np.zeros((2, 8, 8, 3), np.uint8), "labels": [-1, 0]}, "must be 0 or more"),
        ({"images": np.zeros((2, 8, 8, 3), np.uint8), "labels": [0, 1], "class_names": ["a"]}, "out of bounds"),
    ],
)
def test_archive_that_does_not_fit_is_refused(tmp_path, arrays, message):
    np.savez(tmp_path / "bad.npz", **arrays)

    with pytest.raises(DataError, match=message):
        prepare(override(preset("images"), [f"source=npz:{tmp_path}/bad.npz", f"workspace={tmp_path}"]))


def test_source_path_becomes_absolute():
    config = override(preset("images"), ["source=npz:here"])

    assert config.with_absolute_paths().source == f"npz:{Path('here').absolute()}"


@pytest.mark.parametrize("command", documents.commands(HERE / "extending.md"))
def test_documented_commands_parse_and_their_configuration_is_valid(command):
    _, words = documents.split(command)

    if words[0] == "shiftvit":
        resolve(make_parser().parse_args(words[1:]))
    else:
        assert words == ["python", "vertex.py"], "which test_other_runner_compiles_the_graph runs"


def test_run_pushes_the_new_network(workspace):
    [version] = (workspace / "serving" / "shiftvit").iterdir()
    shapes = [shape for _, shape in tf.train.list_variables(f"{version}/variables/variables")]
    image = tf.io.encode_png(np.zeros((9, 9, 3), np.uint8))

    answer = tf.saved_model.load(str(version)).signatures["serving_default"](image_bytes=tf.stack([image]))

    assert all(kernel in shapes for kernel in ([3, 3, 3, 8], [3, 3, 8, 16], [16, 3]))
    assert answer["class_name"].numpy()[0].decode() in CLASSES


def test_component_measures_the_model(workspace):
    [value] = (workspace / "artifacts" / "SizeGate" / "megabytes").glob("*/value")

    assert 0.01 < float(value.read_text()) < 10


def test_component_rejects_a_large_model_by_its_setting(archive, workspace):
    done = run(archive, workspace, size_gate__max_megabytes=0.001)

    assert done.returncode == 1 and "more than size_gate.max_megabytes=0.001" in done.stderr


def test_search_space_fits_the_preset():
    experiment = preset("quickstart").experiment

    found = space.make("my_search.space", experiment)

    assert found.values["train.learning_rate"] == experiment.train.learning_rate
    assert space.apply(found.values | {"model.dims": "48,96"}, experiment).model.dims == (48, 96)


def test_kubeflow_compiles_the_component(tmp_path):
    file = tmp_path / "shiftvit.yaml"
    settings = ["--set=kubeflow.image=registry/shiftvit:1", "--set=kubeflow.volumes=models:/serving"]

    assert main(["kubeflow", "compile", "-o", str(file), *settings]) == 0

    spec, _ = yaml.safe_load_all(file.read_text())
    tasks = spec["root"]["dag"]["tasks"]
    assert "SizeGate" in tasks[Node.PUSHER.value]["dependentTasks"]


def test_other_runner_compiles_the_graph(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    runpy.run_path(str(HERE / "vertex.py"))

    tasks = json.loads((tmp_path / "vertex.json").read_text())["pipelineSpec"]["root"]["dag"]["tasks"]
    assert {"SizeGate", *Node} - {Node.TUNER, Node.LITE_EXPORT} <= set(tasks)
