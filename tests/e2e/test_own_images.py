"""People's own images through the command line: from a folder to a model that answers with the names of its folders."""

import json

import numpy as np
import pytest
from image_folders import picture, write_classes, write_mixed
from photos import encode, turned
from servers import b64, running
from small_runs import shiftvit, show, versions

from components.lite.interpreter import Interpreter
from pipeline.graph.nodes import Node
from pipeline.runs.workspace import Workspace
from shiftvit import features
from shiftvit.errors import DataError

pytestmark = pytest.mark.slow

NAMES = ["cat", "fünf", "ice cream", "polar bear", "seal", "whale", "Übersicht"]  # in the order of their class ids
NOT_IMAGES = {"cat/broken.jpg": b"not an image", "seal/empty.png": b"", "seal/page.webp": b"<html></html>"}
SMALL = {
    "model.dims": "16,32",
    "model.depths": "1,1",
    "model.n_div": 4,
    "train.batch_size": 32,
    "train.learning_rate": 0.003,
    "canary.timeout": 1200,  # the machine may be busy
    "canary.max_latency_ms": 60_000,
}


def run(workspace, data, **settings):
    chosen = SMALL | {key.replace("__", "."): value for key, value in settings.items()}
    arguments = ["run", "--data", data, "--workspace", workspace]
    return shiftvit(*arguments, *(f"--set={key}={value}" for key, value in chosen.items()))


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    """A folder of JPEG, PNG and WebP files of many sizes, turned and transparent ones, and three that are no images."""
    folder = write_mixed(tmp_path_factory.mktemp("own") / "images", NAMES, count=50, largest=1500)
    for path, content in NOT_IMAGES.items():
        (folder / path).write_bytes(content)
    (folder / ".ipynb_checkpoints").mkdir()
    return folder


@pytest.fixture(scope="module")
def workspace(images, tmp_path_factory):
    """A workspace in which one run has pushed a model of the images."""
    folder = tmp_path_factory.mktemp("workspace")
    done = run(folder, images, train__epochs=12, lite__enabled="true", lite__min_int8_agreement=0)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("Pushed version "), done.stdout
    for path in NOT_IMAGES:
        assert path in done.stderr
    return folder


def test_predict_answers_with_the_names_of_the_folders(images, workspace):
    paths = [images / name / "00001.png" for name in NAMES]

    done = shiftvit("predict", "--json", "--workspace", workspace, *paths)

    answers = [answer["class_name"] for answer in json.loads(done.stdout)]
    assert sum(answer == name for answer, name in zip(answers, NAMES, strict=True)) >= 5


def test_files_that_are_no_images_are_listed_and_the_others_counted(workspace):
    details = show(workspace)

    assert details["preset"] == "images"
    assert {line.partition(":")[0] for line in details["bad_images"]} == set(NOT_IMAGES)
    assert set(details["class_top1"]) == set(NAMES)
    counted = [json.loads(details["data"][f"{split}_class_counts"]) for split in features.SPLITS]
    assert np.sum(counted) == 50 * len(NAMES)


def test_tflite_has_the_names_in_the_order_of_its_answers(images, workspace):
    folder = versions(workspace)[0] / "assets.extra" / "lite"
    assert (folder / "labels.txt").read_text().splitlines() == NAMES
    interpreter = Interpreter(str(folder / "float32.tflite"))
    assert interpreter.get_output_details()[0]["shape"].tolist() == [1, len(NAMES)]


def test_a_photo_means_the_same_upright_and_turned_in_predict_and_in_the_server(workspace, tmp_path):
    upright = picture(3, 7, (90, 60))
    files = {"upright.png": encode(upright), "turned.png": turned(upright, 6)}
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)

    done = shiftvit("predict", "--json", "--workspace", workspace, *(tmp_path / name for name in files))
    with running(Workspace(workspace)) as server:
        server.wait_for(lambda: server.version() is not None)
        served = server.post({"instances": [b64(content) for content in files.values()]}).json()["predictions"]

    predicted = [answer["probability"] for answer in json.loads(done.stdout)]
    assert predicted[0] == predicted[1]
    assert served[0] == served[1]
    assert max(served[0]["probabilities"]) == pytest.approx(predicted[0], rel=1e-5)
    assert served[0]["class_name"] in NAMES


def test_300_classes_train_and_push(tmp_path):
    names = [f"class {number}" for number in range(300)]
    folder = write_classes(tmp_path / "images", names, count=4, size=(12, 12))
    open_gates = {
        "evaluate__beat_commonest": "false",
        "gate__max_duplicates": 1,
        "gate__min_class_share": 0.01,
        "evaluate__max_top1_drop": 1,
    }

    done = run(tmp_path / "workspace", folder, train__epochs=1, data__image_size=12, data__crop_padding=1, **open_gates)

    assert done.returncode == 0 and done.stdout.startswith("Pushed version "), done.stderr
    assert len(show(tmp_path / "workspace")["class_top1"]) == 300


def test_a_class_with_few_images_stops_the_run_by_name_with_the_way_out(tmp_path):
    folder = write_classes(tmp_path / "images", ["cat", "dog", "yeti"], count=400, size=(16, 16))
    for number in range(5, 400):
        (folder / f"yeti/{number:04}.png").unlink()

    done = run(tmp_path / "workspace", folder, data__image_size=16, data__crop_padding=0)

    assert done.returncode == DataError.exit_code
    assert "yeti" in done.stderr and "gate.min_class_share" in done.stderr
    nodes = [execution["node"] for execution in show(tmp_path / "workspace")["executions"]]
    assert Node.TRAINER not in nodes
