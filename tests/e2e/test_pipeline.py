"""The real graph on a small drawn set, through the command line, as a user runs it."""

import json
import os
import re
import shlex
import signal
import subprocess
import sys
from pathlib import Path

import documents
import numpy as np
import pytest
import tensorflow as tf
from html_page import Page
from PIL import Image
from waiting import wait_until

from pipeline.runs import predictions as saved_predictions
from pipeline.runs.lineage import Lineage
from pipeline.runs.workspace import Workspace
from shiftvit import export, features
from shiftvit.errors import NotBlessedError
from tuner import results

pytestmark = pytest.mark.slow

COMPONENTS = {
    "Cifar10ExampleGen",
    "StatisticsGen",
    "ImportSchemaGen",
    "ExampleValidator",
    "DataGate",
    "Tuner",
    "Trainer",
    "Baseline",
    "Evaluator",
    "Canary",
    "Pusher",
}
WITH_LITE = COMPONENTS | {"LiteExport"}
UP_TO_THE_SEARCH = COMPONENTS - {"Trainer", "Baseline", "Evaluator", "Canary", "Pusher"}
SMALL = {
    "shapes.train": 512,
    "shapes.eval": 128,
    "shapes.test": 128,
    "tune.trials": 1,
    "tune.epochs": 1,
    "tune.space": "small_space.declare",
    "train.epochs": 2,
    "train.replicas": 2,
    "evaluate.min_top1": 0.01,
    "evaluate.min_top5": 0.1,
    # Of two epochs and 128 test images there is no more to ask.
    "evaluate.max_top1_drop": 0.5,
    "evaluate.max_ece": 1.0,
    "evaluate.min_corrupted_top1": 0.0,
}


MODULES = filter(None, (os.path.dirname(__file__), os.environ.get("PYTHONPATH")))
ENVIRONMENT = {**os.environ, "PYTHONPATH": os.pathsep.join(MODULES)}


def shiftvit(*arguments) -> subprocess.CompletedProcess:
    command = [sys.executable, "-m", "pipeline.cli.main", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, env=ENVIRONMENT)


def run_arguments(workspace, command="run", **settings) -> list[str]:
    chosen = SMALL | {key.replace("__", "."): value for key, value in settings.items()}
    return [command, "--workspace", str(workspace), *(f"--set={key}={value}" for key, value in chosen.items())]


def shown(workspace, run="") -> dict:
    done = shiftvit("show", *filter(None, [run]), "--json", "--workspace", workspace)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def versions(workspace) -> list[str]:
    return sorted(path.name for path in Workspace(workspace).serving.iterdir())


@pytest.fixture(scope="module")
def workspace(tmp_path_factory):
    """A workspace in which one run has ended with a pushed model."""
    folder = tmp_path_factory.mktemp("workspace")
    done = shiftvit(*run_arguments(folder, lite__enabled="true", lite__min_int8_agreement=0.0))
    assert done.returncode == 0, done.stderr
    [run] = Workspace(folder).run_folders()
    assert done.stdout.startswith("Pushed version ") and done.stdout.endswith(f"\nReport: {run.report}\n")
    return folder


def test_every_component_has_an_execution_in_ml_metadata(workspace):
    [run] = Workspace(workspace).run_folders()

    executions = Lineage(Workspace(workspace).metadata).executions(run.id)

    assert {execution.node: execution.state for execution in executions} == dict.fromkeys(WITH_LITE, "complete")


def test_the_trainer_trained_with_the_hyperparameters_that_the_tuner_found(workspace):
    [run] = Workspace(workspace).run_folders()
    executions = {e.node: e for e in Lineage(Workspace(workspace).metadata).executions(run.id)}
    [best] = executions["Tuner"].outputs["best_hyperparameters"]
    [search] = executions["Tuner"].outputs["tuner_results"]
    [model_run] = executions["Trainer"].outputs["model_run"]
    with open(f"{best.uri}/best_hyperparameters.txt") as file:
        found = json.load(file)["values"]
    with open(f"{model_run.uri}/experiment.json") as file:
        trained = json.load(file)

    assert executions["Trainer"].inputs["hyperparameters"] == (best,)
    assert found == results.read(Path(search.uri) / results.RESULTS_FILE).leaderboard()[0].values
    assert found["train.learning_rate"] == trained["train"]["learning_rate"]
    assert trained["train"]["learning_rate"] in (0.0031, 0.0032), "the space's, and no preset's"


def test_show_walks_from_the_pushed_version_to_the_source(workspace):
    details = shown(workspace)

    assert details["lineage"][0]["type"] == "PushedModel"
    [examples] = [step for step in details["lineage"] if step["type"] == "Examples"]
    identity = json.loads(next((workspace / "sources").glob("shapes-*/source.json")).read_text())
    assert examples["facts"]["source_sha256"] == identity["sha256"]
    assert details["config"]["shapes"]["train"] == SMALL["shapes.train"]


def test_show_tells_what_the_gates_measured_of_the_data_and_of_the_model(workspace):
    details = shown(workspace)
    measured, corrupted = details["data"], details["metrics"]["corrupted_top1"].values()

    assert sum(found["examples"] for found in corrupted) == SMALL["shapes.test"]
    assert 0 <= details["metrics"]["ece"] <= 1 and details["latency_ms"]["1"] > 0
    assert {split: measured[f"{split}_duplicates"] for split in features.SPLITS} == {"train": 0, "eval": 0, "test": 0}
    assert measured["test_label_drift"] < 0.05 and measured["train_least_class_share"] > 0.05


def test_the_pushed_model_answers_pictures_as_the_evaluator_was_answered(workspace, tmp_path):
    [version] = versions(workspace)
    records = next((workspace / "artifacts/Cifar10ExampleGen/examples").glob("*/Split-test"))
    serialized = tf.constant([r.numpy() for r in tf.data.TFRecordDataset(sorted(map(str, records.iterdir())))])
    images, labels = features.parse(serialized)
    paths = [tmp_path / f"{number}.png" for number in range(len(images))]
    for path, image in zip(paths, images.numpy(), strict=True):
        Image.fromarray(image).save(path)

    done = shiftvit("predict", "--json", "--workspace", workspace, *paths)
    model = tf.saved_model.load(str(Workspace(workspace).serving / version))
    answers = model.signatures[export.SERVING_EXAMPLES](**{export.EXAMPLES_INPUT: serialized})

    predicted = [answer["class_id"] for answer in json.loads(done.stdout)]
    assert predicted == answers[export.CLASS_ID].numpy().tolist()
    assert np.mean(predicted == labels.numpy()) == pytest.approx(shown(workspace)["metrics"]["top1"])


def test_the_report_tells_what_was_measured_and_shows_the_very_images(workspace):
    run = Workspace(workspace).run_folders()[0]
    done = shiftvit("report", run.id, "--json", "--workspace", workspace)
    facts, kept = json.loads(done.stdout), saved_predictions.load(run.predictions)
    metrics = facts["metrics"]

    assert kept.right.mean() == pytest.approx(metrics["top1"])
    errors = [found["images"] * abs(found["confidence"] - found["top1"]) for found in facts["calibration"]]
    assert sum(errors) / metrics["examples"] == pytest.approx(metrics["ece"], abs=1e-5)
    records = next((workspace / "artifacts/Cifar10ExampleGen/examples").glob("*/Split-test"))
    serialized = tf.constant([r.numpy() for r in tf.data.TFRecordDataset(sorted(map(str, records.iterdir())))])
    assert np.array_equal(kept.mistake_images, features.parse(serialized)[0].numpy()[kept.mistakes])
    assert sum(facts["class_counts"]["train"]) == SMALL["shapes.train"]
    assert [row["epoch"] for row in facts["history"]] == [1, 2] and facts["history"][0]["learning_rate"] > 0
    assert set(facts["graph"]) == WITH_LITE and "DataGate" in facts["graph"]["Trainer"]
    run.report.write_text("made before an update of the program")
    assert shiftvit("report", run.id, "--again", "--workspace", workspace).stdout == f"{run.report}\n"
    page = Page(run.report.read_text())
    assert len([a for _, a, _ in page.find("img") if a["alt"].startswith("Test image")]) == len(kept.mistakes) > 0
    assert page.words("h2")[:4] == ["Components", "Data", "Search", "Training"]


def test_the_pushed_version_has_a_model_card_of_what_was_measured(workspace):
    [version] = versions(workspace)
    metrics = shown(workspace)["metrics"]

    card = (Workspace(workspace).serving / version / "assets.extra" / "model_card.md").read_text()

    assert f"| all | {SMALL['shapes.test']} | {metrics['top1']:.1%} |" in card and "drop_path=" in card


def test_the_version_has_tflite_files_and_show_tells_how_they_compare(workspace):
    [version] = versions(workspace)
    report = shown(workspace)["lite"]

    folder = Workspace(workspace).serving / version / "assets.extra" / "lite"
    assert {path.name for path in folder.iterdir()} == {"float32.tflite", "int8.tflite", "labels.txt", "lite.json"}
    assert report["images"] == SMALL["shapes.test"] and report["files"][0]["agreement"] == 1.0
    assert "float32  " in shiftvit("show", "--workspace", workspace).stdout.partition("TFLite files")[2]


def test_the_same_configuration_again_comes_from_the_cache_and_pushes_nothing(workspace):
    [before] = versions(workspace)
    first = Workspace(workspace).run_folders()[0]

    done = shiftvit("run", "--config", first.config)

    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(f"Nothing new to push: version {before}")
    assert versions(workspace) == [before]
    states = {e["node"]: e["state"] for e in shown(workspace)["executions"]}
    assert states == dict.fromkeys(WITH_LITE, "cached") | {"Baseline": "complete"}


def test_a_search_alone_is_what_a_run_of_the_same_configuration_then_trains_with(tmp_path):
    settings = {"tune__algorithm": "bayesian", "tune__trials": 2, "train__replicas": 1}
    searched = shiftvit(*run_arguments(tmp_path, "tune", **settings))

    assert searched.returncode == 0, searched.stderr
    assert searched.stdout.startswith("Best of 2 trials: val_top1 ")
    assert len(re.findall(r"Tuner: trial \d+ completed, score 0\.\d+ after 1 epoch in", searched.stderr)) == 2
    of_search = shown(tmp_path)
    assert (of_search["state"], of_search["pushed_version"]) == ("complete", None)
    assert of_search["components"] == dict.fromkeys(UP_TO_THE_SEARCH, "complete")
    assert of_search["search"]["trials"] == {"completed": 2}
    assert os.path.getsize(of_search["search"]["report"]) and of_search["search"]["report"] in searched.stdout

    trained = shiftvit(*run_arguments(tmp_path, **settings))

    assert trained.returncode == 0, trained.stderr
    of_run = shown(tmp_path)
    assert of_run["search"] == of_search["search"]
    assert {node for node, state in of_run["components"].items() if state == "cached"} == UP_TO_THE_SEARCH
    assert of_run["components"].keys() == COMPONENTS
    assert trained_rate(tmp_path) == of_search["search"]["best"]["values"]["train.learning_rate"]


def trained_rate(workspace) -> float:
    """Returns the learning rate of the only model in the workspace."""
    [experiment] = (workspace / "artifacts" / "Trainer" / "model_run").glob("*/experiment.json")
    return json.loads(experiment.read_text())["train"]["learning_rate"]


def test_a_model_under_a_threshold_is_not_pushed_and_the_reason_is_told(workspace):
    before = versions(workspace)

    done = shiftvit(*run_arguments(workspace, evaluate__min_top1=1.0))

    assert done.returncode == NotBlessedError.exit_code
    assert "top-1 on all test images is" in done.stderr
    assert "below the required 100.00% by" in done.stderr
    refused = Workspace(workspace).run_folders()[-1]
    assert any("below the required 100.00%" in told for told in Page(refused.report.read_text()).words("li"))
    compared = shiftvit("compare", Workspace(workspace).run_folders()[0].id, refused.id, "--workspace", workspace)
    assert "evaluate.min_top1" in compared.stdout and "no difference can be told: +0.0 points" in compared.stdout
    assert versions(workspace) == before


def test_a_run_killed_in_mid_training_goes_on_from_its_last_epoch(tmp_path):
    arguments = run_arguments(tmp_path, tune__algorithm="hyperband", train__epochs=40, train__replicas=1)
    process = subprocess.Popen(
        [sys.executable, "-m", "pipeline.cli.main", *arguments],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        env=ENVIRONMENT,
    )
    wait_until(lambda: epochs_done(tmp_path) >= 3, process)
    process.send_signal(signal.SIGKILL)
    process.communicate()

    done = shiftvit(*arguments)

    assert done.returncode == 0, done.stderr
    assert "Tuner: cached" in done.stderr
    assert trained_rate(tmp_path) == shown(tmp_path)["search"]["best"]["values"]["train.learning_rate"]
    told = [float(epoch) for epoch in re.findall(r"Trainer: train ([\d.]+)/40 epochs", done.stderr)]
    assert told[0] >= 2, "the epoch that was being saved may be done twice, but no earlier one"
    [history] = (tmp_path / "artifacts").glob("Trainer/model_run/*/history.csv")
    assert [int(line.split(",")[0]) for line in history.read_text().splitlines()[1:]] == list(range(40))


def epochs_done(workspace) -> int:
    """Returns how many epochs the training that is under way has recorded."""
    files = (workspace / "training").rglob("history.csv")
    return max((len(file.read_text().splitlines()) - 1 for file in files), default=0)


def test_tfx_own_command_line_takes_the_runner(tmp_path):
    import pipeline.runners.local.runner

    done = subprocess.run(
        ["tfx", "pipeline", "create", "--engine", "local", "--pipeline_path", pipeline.local.__file__],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        env={
            **os.environ,
            "LOCAL_HOME": str(tmp_path / "home"),
            "PATH": f"{os.path.dirname(sys.executable)}:{os.environ['PATH']}",
        },
    )

    assert done.returncode == 0, done.stdout + done.stderr
    assert 'Pipeline "shiftvit" created successfully' in done.stdout + done.stderr


@pytest.mark.parametrize("command", documents.OF_A_WORKSPACE)
def test_what_the_documents_ask_of_a_workspace_is_answered(workspace, tmp_path, command):
    (tmp_path / "workspace").symlink_to(workspace)
    Image.new("RGB", (300, 200)).save(tmp_path / "picture.png")
    programs = {
        "shiftvit": [sys.executable, "-m", "pipeline.cli.main"],
        "tensorboard": [f"{sys.prefix}/bin/tensorboard"],
    }
    program, *options = shlex.split(command)
    options += ["--inspect"] if program == "tensorboard" else []  # which ends, and needs no browser

    done = subprocess.run([*programs[program], *options], cwd=tmp_path, capture_output=True, text=True, env=ENVIRONMENT)

    assert done.returncode == 0 and done.stdout.strip(), done.stderr
