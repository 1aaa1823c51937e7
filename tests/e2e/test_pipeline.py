"""The real graph on a small drawn set, through the command line: one run, and what it leaves."""

import json
import shlex
import subprocess
import sys
from pathlib import Path

import documents
import numpy as np
import pytest
import tensorflow as tf
from html_page import Page
from PIL import Image
from small_runs import ENVIRONMENT, PROGRAM, SETTINGS, run_arguments, shiftvit, show, versions

from pipeline.graph.nodes import Node
from pipeline.runs import predictions as saved_predictions
from pipeline.runs.lineage import Lineage
from pipeline.runs.workspace import Workspace
from shiftvit import export, features
from shiftvit.errors import NotBlessedError
from tuner import results

pytestmark = pytest.mark.slow

LITE = {"lite__enabled": "true", "lite__min_int8_agreement": 0.0}


@pytest.fixture(scope="module")
def workspace(tmp_path_factory):
    """A workspace in which one run has pushed a model."""
    folder = tmp_path_factory.mktemp("workspace")
    done = shiftvit(*run_arguments(folder, **LITE))
    assert done.returncode == 0, done.stderr
    [run] = Workspace(folder).run_folders()
    assert done.stdout.startswith("Pushed version ") and done.stdout.endswith(f"\nReport: {run.report}\n")
    return folder


@pytest.fixture(scope="module")
def first_run(workspace):
    return Workspace(workspace).run_folders()[0]


@pytest.fixture(scope="module")
def executions(workspace, first_run):
    """The run's executions in ML Metadata, by node."""
    found = Lineage(Workspace(workspace).metadata).executions(first_run.id)
    return {execution.node: execution for execution in found}


@pytest.fixture(scope="module")
def serialized_records(workspace):
    """The serialized records of the test split."""
    folder = next((workspace / "artifacts" / Node.EXAMPLE_GEN / "examples").glob("*/Split-test"))
    return tf.constant([r.numpy() for r in tf.data.TFRecordDataset(sorted(map(str, folder.iterdir())))])


def test_every_node_has_a_completed_execution(executions):
    assert {node: execution.state for node, execution in executions.items()} == dict.fromkeys(Node, "complete")


def test_log_has_nothing_of_queries_that_ml_metadata_lacks(first_run):
    log = first_run.log.read_text()

    assert "INFO:absl:" in log and "ZetaSQL" not in log


def test_trainer_uses_the_hyperparameters_found_by_the_tuner(executions):
    [best] = executions[Node.TUNER].outputs["best_hyperparameters"]
    [search] = executions[Node.TUNER].outputs["tuner_results"]
    [model_run] = executions[Node.TRAINER].outputs["model_run"]
    found = json.loads(Path(best.uri, "best_hyperparameters.txt").read_text())["values"]
    trained = json.loads(Path(model_run.uri, "experiment.json").read_text())

    assert executions[Node.TRAINER].inputs["hyperparameters"] == (best,)
    assert found == results.read(Path(search.uri) / results.RESULTS_FILE).leaderboard()[0].values
    assert found["train.learning_rate"] == trained["train"]["learning_rate"]
    assert trained["train"]["learning_rate"] in (0.0031, 0.0032), "a value of the space, which no preset has"


def test_show_traces_the_pushed_version_to_its_source(workspace):
    details = show(workspace)

    assert details["lineage"][0]["type"] == "PushedModel"
    [examples] = [step for step in details["lineage"] if step["type"] == "Examples"]
    identity = json.loads(next((workspace / "sources").glob("shapes-*/source.json")).read_text())
    assert examples["facts"]["source_sha256"] == identity["sha256"]
    assert details["config"]["shapes"]["train"] == SETTINGS["shapes.train"]


def test_show_has_the_measurements_of_all_gates(workspace):
    details = show(workspace)
    measured, corrupted = details["data"], details["metrics"]["corrupted_top1"].values()

    assert sum(found["examples"] for found in corrupted) == SETTINGS["shapes.test"]
    assert 0 <= details["metrics"]["ece"] <= 1 and details["latency_ms"]["1"] > 0
    assert {split: measured[f"{split}_duplicates"] for split in features.SPLITS} == {"train": 0, "eval": 0, "test": 0}
    assert measured["test_label_drift"] < 0.05 and measured["train_least_class_share"] > 0.05


def test_pushed_model_predicts_from_image_files_as_from_records(workspace, serialized_records, tmp_path):
    images, labels = features.parse(serialized_records, 32)
    paths = [tmp_path / f"{number}.png" for number in range(len(images))]
    for path, image in zip(paths, images.numpy(), strict=True):
        Image.fromarray(image).save(path)

    done = shiftvit("predict", "--json", "--workspace", workspace, *paths)
    model = tf.saved_model.load(str(versions(workspace)[0]))
    answers = model.signatures[export.SERVING_EXAMPLES](**{export.EXAMPLES_INPUT: serialized_records})

    predicted = [answer["class_id"] for answer in json.loads(done.stdout)]
    assert predicted == answers[export.CLASS_ID].numpy().tolist()
    assert np.mean(predicted == labels.numpy()) == pytest.approx(show(workspace)["metrics"]["top1"])


def test_report_json_agrees_with_the_saved_predictions(workspace, first_run, serialized_records):
    done = shiftvit("report", first_run.id, "--json", "--workspace", workspace)
    facts, kept = json.loads(done.stdout), saved_predictions.load(first_run.predictions)
    metrics = facts["metrics"]

    assert kept.right.mean() == pytest.approx(metrics["top1"])
    errors = [found["images"] * abs(found["confidence"] - found["top1"]) for found in facts["calibration"]]
    assert sum(errors) / metrics["examples"] == pytest.approx(metrics["ece"], abs=1e-5)
    assert np.array_equal(kept.mistake_images, features.parse(serialized_records, 32)[0].numpy()[kept.mistakes])
    assert sum(facts["class_counts"]["train"]) == SETTINGS["shapes.train"]
    assert [row["epoch"] for row in facts["history"]] == [1, 2] and facts["history"][0]["learning_rate"] > 0
    assert set(facts["graph"]) == set(Node) and Node.DATA_GATE in facts["graph"][Node.TRAINER]


def test_report_can_be_made_again_and_shows_the_mistakes(workspace, first_run):
    first_run.report.write_text("made by an older version of the program")

    assert shiftvit("report", first_run.id, "--again", "--workspace", workspace).stdout == f"{first_run.report}\n"

    page, mistakes = Page(first_run.report.read_text()), saved_predictions.load(first_run.predictions).mistakes
    assert len([a for _, a, _ in page.find("img") if a["alt"].startswith("Test image")]) == len(mistakes) > 0
    assert page.texts("h2")[:4] == ["Components", "Data", "Search", "Training"]


def test_pushed_version_has_a_model_card_with_its_metrics(workspace):
    card = (versions(workspace)[0] / "assets.extra" / "model_card.md").read_text()

    assert f"| all | {SETTINGS['shapes.test']} | {show(workspace)['metrics']['top1']:.1%} |" in card
    assert "drop_path=" in card


def test_pushed_version_has_tflite_files_and_show_compares_them(workspace):
    report = show(workspace)["lite"]

    folder = versions(workspace)[0] / "assets.extra" / "lite"
    assert {path.name for path in folder.iterdir()} == {"float32.tflite", "int8.tflite", "labels.txt", "lite.json"}
    assert report["images"] == SETTINGS["shapes.test"] and report["files"][0]["agreement"] == 1.0
    assert "float32  " in shiftvit("show", "--workspace", workspace).stdout.partition("TFLite files")[2]


@pytest.mark.parametrize("command", documents.WORKSPACE_COMMANDS)
def test_documented_commands_work_on_the_workspace(workspace, tmp_path, command):
    (tmp_path / "workspace").symlink_to(workspace)
    Image.new("RGB", (300, 200)).save(tmp_path / "picture.png")
    programs = {"shiftvit": PROGRAM, "tensorboard": [f"{sys.prefix}/bin/tensorboard", "--inspect"]}  # needs no browser
    program, *options = shlex.split(command)

    done = subprocess.run([*programs[program], *options], cwd=tmp_path, capture_output=True, text=True, env=ENVIRONMENT)

    assert done.returncode == 0 and done.stdout.strip(), done.stderr


def test_same_configuration_comes_from_the_cache_and_pushes_nothing(workspace, first_run):
    [before] = versions(workspace)

    done = shiftvit("run", "--config", first_run.config)

    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(f"Nothing new to push: version {before.name}")
    assert versions(workspace) == [before]
    states = {execution["node"]: execution["state"] for execution in show(workspace)["executions"]}
    assert states == dict.fromkeys(Node, "cached") | {Node.BASELINE: "complete"}


def test_model_below_a_threshold_is_not_pushed(workspace, first_run):
    before = versions(workspace)

    done = shiftvit(*run_arguments(workspace, evaluate__min_top1=1.0, **LITE))

    assert done.returncode == NotBlessedError.exit_code
    assert "top-1 on all test images is" in done.stderr
    assert "below the required 100.00% by" in done.stderr
    refused = Workspace(workspace).run_folders()[-1]
    assert any("below the required 100.00%" in reason for reason in Page(refused.report.read_text()).texts("li"))
    compared = shiftvit("compare", first_run.id, refused.id, "--workspace", workspace)
    assert "evaluate.min_top1" in compared.stdout and "+0.0 points" in compared.stdout
    assert versions(workspace) == before
