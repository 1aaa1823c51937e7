"""`shiftvit train` in one process and as two workers on 127.0.0.1."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from ports import free_ports
from waiting import HANG_SECONDS, wait_until

from components.trainer.training import resume_folder
from pipeline.cli.main import main
from pipeline.config import config_file
from pipeline.config.settings import PipelineConfig
from pipeline.sources import shapes
from shiftvit.config import DataConfig, ModelConfig, TrainConfig

ROOT = Path(__file__).parents[3]
# Adam scales every update to at most 3e-3, so rounding can reverse a small one.
TOLERANCE = {"rtol": 0, "atol": 3e-4}


def experiment(**train):
    return PipelineConfig(
        model=ModelConfig(patch_size=8, dims=(16, 32), depths=(1, 1), n_div=4, drop_path=0.0),
        data=DataConfig(crop_padding=0, flip=False),
        train=TrainConfig(
            **{"batch_size": 32, "learning_rate": 3e-3, "precision": "float32", "ema_decay": 0.9, "epochs": 3} | train
        ),
    ).experiment


def options(examples, folder, **train):
    """Returns the options of a tiny training, and writes its configuration."""
    folder.mkdir(parents=True, exist_ok=True)
    trained = experiment(**train)
    config = PipelineConfig(model=trained.model, data=trained.data, train=trained.train)
    config_file.save(config, folder / "config.json")
    places = {
        "records": examples,
        "model": folder / "model",
        "state": folder / "state",
        "config": folder / "config.json",
    }
    return [text for name, path in places.items() for text in (f"--{name}", str(path))]


def start(arguments, tf_config=None):
    return subprocess.Popen(
        [sys.executable, "-m", "pipeline.cli.main", "train", *arguments],
        env={**os.environ, "PYTHONPATH": str(ROOT)} | ({"TF_CONFIG": tf_config} if tf_config else {}),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def clusters(first):
    """Returns TF_CONFIG for each of two workers; `first` is the job of the first."""
    addresses = [f"127.0.0.1:{port}" for port in free_ports(2)]
    if first == "chief":
        cluster, tasks = {"chief": addresses[:1], "worker": addresses[1:]}, (("chief", 0), ("worker", 0))
    else:
        cluster, tasks = {"worker": addresses}, (("worker", 0), ("worker", 1))
    return [json.dumps({"cluster": cluster, "task": {"type": job, "index": index}}) for job, index in tasks]


def start_both(arguments, first="worker"):
    return [start(arguments, tf_config) for tf_config in clusters(first)]


@pytest.fixture(autouse=True, scope="module")
def dead_proxy():
    """The workers' environment names proxies that do not answer."""
    with pytest.MonkeyPatch.context() as environment:
        for name in ("http_proxy", "https_proxy", "grpc_proxy"):
            environment.setenv(name, "http://127.0.0.1:9")
        yield


def end(process):
    """Returns exit code, stdout and stderr."""
    try:
        out, err = process.communicate(timeout=HANG_SECONDS)
    finally:
        process.kill()
    return process.returncode, out, err


def weights(model):
    saved = tf.train.load_checkpoint(str(model / "variables" / "variables"))
    return {name: saved.get_tensor(name) for name in saved.get_variable_to_shape_map() if "VARIABLE_VALUE" in name}


def history(folder):
    return np.genfromtxt(folder / "history.csv", delimiter=",", skip_header=1, ndmin=2)


def assert_same_weights(ours, theirs):
    ours, theirs = weights(ours), weights(theirs)
    assert ours.keys() == theirs.keys() and len(ours) > 20
    for name, value in ours.items():
        np.testing.assert_allclose(value, theirs[name], err_msg=name, **TOLERANCE)


@pytest.fixture(scope="module")
def trained(drawn_examples, tmp_path_factory):
    """The folder of a training with two workers, and the exit code and output of each."""
    folder = tmp_path_factory.mktemp("two")
    return folder, [end(worker) for worker in start_both(options(drawn_examples, folder))]


@pytest.mark.slow
def test_only_the_chief_prints_and_saves(trained):
    folder, (chief, other) = trained
    model = folder / "model"

    assert (chief[:2], other[:2]) == ((0, f"Trained {model}.\n"), (0, "")), chief[2] + other[2]
    (last,) = (line for line in chief[2].splitlines() if line.startswith("Trainer: train 3/3 epochs"))
    loss = history(model / "assets.extra")[-1, 1]
    assert float(re.search(r"loss ([\d.]+)", last)[1]) == pytest.approx(loss, abs=0.01) and other[2] == ""
    assert sorted(path.name for path in folder.iterdir()) == ["config.json", "model", "state"]
    assert list((folder / "state").iterdir()) == [], "a finished training leaves no state"
    answer = tf.saved_model.load(str(model)).list_classes().numpy()
    assert [name.decode() for name in answer] == list(shapes.CLASS_NAMES)


@pytest.mark.slow
def test_two_workers_train_as_one_process_with_two_replicas(trained, drawn_examples, tmp_path):
    code, _, err = end(start(options(drawn_examples, tmp_path, replicas=2)))

    assert code == 0, err
    rows = [history(folder / "model" / "assets.extra") for folder in (trained[0], tmp_path)]
    assert rows[0].shape == (3, 8) and rows[0][-1, 1] < rows[0][0, 1] - 0.01, "it must learn"
    np.testing.assert_allclose(*rows, atol=1e-4)
    assert_same_weights(trained[0] / "model", tmp_path / "model")


@pytest.mark.slow
def test_finished_training_is_not_repeated(trained, drawn_examples, capsys):
    """As when a worker was killed after the model was saved, and is started again alone."""
    arguments = options(drawn_examples, trained[0])
    assert main(["train", *arguments]) == 0
    assert capsys.readouterr().out == f"Nothing to train: {trained[0]}/model is the model of this training.\n"
    assert main(["train", *arguments, "--set", "train.epochs=4"]) == 2
    assert "model: exists and is not the model of this training" in capsys.readouterr().err


@pytest.mark.slow
def test_killed_worker_ends_the_other_and_both_resume_from_the_last_epoch(drawn_examples, tmp_path):
    """The weights equal those of one process with two replicas that resumes from the same state."""
    epochs = 8
    arguments = options(drawn_examples, tmp_path / "two", epochs=epochs)
    chief, other = start_both(arguments, "chief")
    wait_until(lambda: epochs_done(tmp_path / "two" / "state") >= 2, chief)
    chief.send_signal(signal.SIGKILL)
    code, _, err = end(other)
    chief.communicate()
    assert (chief.returncode, code) == (-signal.SIGKILL, 1)
    assert "shiftvit: worker 1 of 2 lost the others (" in err and "start the command again on all" in err
    assert not (tmp_path / "two" / "model").exists()

    alone = options(drawn_examples, tmp_path / "one", epochs=epochs, replicas=2)
    (state,) = (tmp_path / "two" / "state").iterdir()
    shutil.copytree(state, own_state(tmp_path / "one" / "state", drawn_examples, epochs=epochs, replicas=2))
    ended = [end(process) for process in (*start_both(arguments), start(alone))]

    assert [code for code, *_ in ended] == [0, 0, 0], ended
    left = sorted(path.name for path in (tmp_path / "two").iterdir())
    assert left == ["config.json", "model", "state"], "the killed attempt leaves nothing"
    rows = history(tmp_path / "two" / "model" / "assets.extra")
    assert list(rows[:, 0]) == list(range(epochs))
    first = next(line for line in ended[0][2].splitlines() if "epochs" in line)
    assert float(first.split("train ")[1].split("/")[0]) > 1, first
    assert_same_weights(tmp_path / "two" / "model", tmp_path / "one" / "model")


def own_state(root, examples, **train):
    return resume_folder(str(root), experiment(**train), [f"{examples}/Split-train/*"])


def epochs_done(state):
    return max((len(history(path.parent)) for path in state.glob("*/history.csv")), default=0)


TWO_WORKERS = json.dumps({"cluster": {"worker": ["a:1", "b:2"]}, "task": {"type": "worker", "index": 0}})


@pytest.mark.parametrize("command", ["run", "tune"])
def test_run_and_tune_refuse_several_workers(tmp_path, monkeypatch, capsys, command):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TF_CONFIG", TWO_WORKERS)
    assert main([command]) == 2
    err = capsys.readouterr().err
    assert "TF_CONFIG names several workers" in err and "`shiftvit train`" in err and err.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("damage", "code", "message"),
    [
        (lambda records: shutil.rmtree(records / "Split-eval"), 3, "Split-eval: holds no records"),
        (lambda records: (records / "dataset.json").unlink(), 3, "dataset.json: cannot be read"),
        (lambda records: (records / "dataset.json").write_text("{"), 3, "dataset.json: cannot be read"),
    ],
)
def test_incomplete_records_are_reported(drawn_examples, tmp_path, capsys, damage, code, message):
    records = Path(shutil.copytree(drawn_examples, tmp_path / "records"))
    damage(records)
    assert main(["train", *options(records, tmp_path)]) == code
    err = capsys.readouterr().err
    assert message in err and str(records) in err and err.count("\n") == 1
    assert not (tmp_path / "model").exists() and not (tmp_path / "state").exists()


def test_invalid_tf_config_is_reported(drawn_examples, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("TF_CONFIG", "workers")
    assert main(["train", *options(drawn_examples, tmp_path)]) == 2
    assert "shiftvit: TF_CONFIG is not JSON" in capsys.readouterr().err


def test_unwritable_state_folder_is_reported(drawn_examples, tmp_path, capsys):
    arguments = options(drawn_examples, tmp_path)
    (tmp_path / "state").write_text("")
    assert main(["train", *arguments]) == 2
    assert f"--state {tmp_path}/state: cannot write there (File exists)" in capsys.readouterr().err
