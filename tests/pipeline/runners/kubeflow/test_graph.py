"""Rehearses the compiled graph."""

import json
import os
from pathlib import Path

import added_node
import pytest
from added_node import add_weigh
from compiled import compile_small
from image_folders import write_classes

from components import serving_folder
from components.example_gen.bad_images import read_bad_images
from pipeline.graph.fingerprint import graph_fingerprint
from pipeline.runners.kubeflow.refused import REFUSED
from pipeline.runners.kubeflow.rehearse import rehearse
from shiftvit.errors import DataError, UserError
from shiftvit.files import states

pytestmark = pytest.mark.slow

NAMES = ["polar bear", "Übersicht"]

STOCK = ("python", "-m", "tfx.orchestration.kubeflow.v2.container.kubeflow_v2_run_executor")


EVERY_NODE = (
    "tune.trials=1",
    "tune.epochs=1",
    "lite.enabled=true",
    "lite.calibration_images=20",
    "lite.test_images=20",
    "lite.min_float_agreement=0",
    "lite.min_int8_agreement=0",
)


def ignore(event):
    pass


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("kubeflow")


@pytest.fixture(scope="module")
def own_images(folder):
    """Settings for a folder of images of two classes, on a volume."""
    images = write_classes(folder / "photos", NAMES, count=150, size=(40, 30))
    (images / NAMES[0] / "broken.jpg").write_bytes(b"not an image")
    volumes = f"kubeflow.volumes=models:/serving,kept:/state,photos:{folder}"
    return f"source=folder:{images}", "data.image_size=32", volumes


@pytest.fixture(scope="module")
def runs(folder, own_images):
    """Two runs on one cluster: the default nodes, then with two epochs every node and one the project does not know."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setenv("PYTHONPATH", str(Path(added_node.__file__).parent), prepend=os.pathsep)
        few = compile_small(folder / "few.yaml", *own_images, "kubeflow.state=/state")
        add_weigh(monkeypatch)
        all_nodes = compile_small(folder / "all.yaml", *own_images, *EVERY_NODE, "kubeflow.state=/state")
        return [
            rehearse(file, {"epochs": epochs}, folder / "cluster", ignore)
            for epochs, file in ((1, few), (2, all_nodes))
        ]


@pytest.fixture
def serving(folder):
    """The folder of the pushed versions, on the volume that is mounted at /serving."""
    return folder / "cluster/volumes/models/shiftvit"


def test_each_run_pushes_its_model(serving, runs):
    pushed = [run.metadata("Pusher", "pushed_model") for run in runs]

    assert [metadata["pushed"] for metadata in pushed] == [1.0, 1.0]
    assert [run.value("Pusher", "pushed") for run in runs] == [True, True]
    assert all(REFUSED not in run.outputs for run in runs)
    versions = sorted(metadata["pushed_version"] for metadata in pushed)
    assert versions == sorted(path.name for path in serving.iterdir())
    assert all((serving / version / "saved_model.pb").exists() for version in versions)


def test_only_a_run_with_tflite_pushes_its_files(serving, runs):
    pushed = [
        (version / serving_folder.LITE_FOLDER / "float32.tflite").exists() for version in sorted(serving.iterdir())
    ]
    assert pushed == [False, True]


def test_a_value_that_a_component_returns_is_stored(runs):
    assert float(runs[1].path("Weigh", "megabytes").read_text()) > 0


def test_the_baseline_of_the_second_run_is_the_model_that_the_first_pushed(serving, runs):
    first, second = runs

    assert not first.path("Baseline", "model").exists()
    assert "baseline_model_id" not in first.metadata("Evaluator", "blessing")
    pushed = first.metadata("Pusher", "pushed_model")["pushed_version"]
    baseline = second.path("Baseline", "model") / "Format-Serving"
    assert (baseline / "saved_model.pb").read_bytes() == (serving / pushed / "saved_model.pb").read_bytes()
    assert second.metadata("Baseline", "model")["pushed_version"] == pushed
    blessing = second.metadata("Evaluator", "blessing")
    assert blessing["baseline_model_id"] == second.outputs["Baseline"]["model"]["name"]
    assert blessing["current_model"] == second.outputs["Trainer"]["model"]["uri"]


def test_a_run_trains_its_epochs_with_the_best_hyperparameters(runs):
    trained = [json.loads((run.path("Trainer", "model_run") / "experiment.json").read_text()) for run in runs]
    found = json.loads((runs[1].path("Tuner", "best_hyperparameters") / "best_hyperparameters.txt").read_text())

    assert [experiment["train"]["epochs"] for experiment in trained] == [1, 2]
    assert found["values"]["train.learning_rate"] == trained[1]["train"]["learning_rate"]


def test_the_pushed_model_has_the_class_names_of_the_data(serving, runs):
    import tensorflow as tf

    model = tf.saved_model.load(str(max(serving.iterdir())))

    assert [name.decode() for name in model.list_classes().numpy()] == NAMES


def test_files_that_do_not_decode_are_listed_beside_the_examples(runs):
    listed = read_bad_images(str(runs[0].path("ImageExampleGen", "examples")))

    assert [image.path for images in listed.values() for image in images] == [f"{NAMES[0]}/broken.jpg"]


def test_the_finished_state_of_a_training_stays_on_the_volume(folder, runs):
    training = folder / "cluster/volumes/kept/training"
    assert [path.name for path in training.iterdir()] == [graph_fingerprint()]
    kept = {state.folder for state in states.finished(training)}
    assert kept == set((training / graph_fingerprint()).iterdir()) and kept


def test_no_file_that_outlives_its_step_names_a_path_of_the_container(folder, runs):
    lasting = [file for name in ("bucket", "volumes") for file in (folder / "cluster" / name).rglob("*")]
    files = [file for file in lasting if file.is_file() and file.name != "executor-logs"]

    assert len(files) > 100
    assert [file for file in files if f"{folder}/cluster/steps/".encode() in file.read_bytes()] == []


def test_bad_data_is_reported_with_its_step(folder, runs, tmp_path):
    missing = f"{tmp_path}/missing"
    with pytest.raises(DataError, match=f"ImageExampleGen failed: parameter data={missing}: {missing}: no such file"):
        rehearse(folder / "few.yaml", {"data": missing}, tmp_path / "cluster", ignore)


def test_the_same_pipeline_fails_with_the_entrypoint_of_tfx(tmp_path):
    with pytest.raises(UserError, match=r"failed: ImportError: Could not import system\.Artifact"):
        rehearse(compile_small(tmp_path / "p.yaml", command=STOCK), {}, tmp_path / "cluster", ignore)
