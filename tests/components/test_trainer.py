"""Training through TFX's own Trainer executor."""

import csv
import json
import shutil
from dataclasses import replace

import executions
import keras_tuner
import pytest
import tensorflow as tf
import trainings
from known_data import CIFAR10
from tfx.components.trainer.executor import GenericExecutor
from tfx.types import standard_artifacts

from components.trainer import run_fn, training
from components.trainer.config import TrainerConfig
from components.trainer.training import EXPERIMENT_FILE, resume_folder
from pipeline.sources import shapes
from shiftvit.config import DataConfig, ExperimentConfig, ModelConfig, TrainConfig, from_dict, to_dict
from shiftvit.errors import ConfigError, UserError
from shiftvit.files import states

EXPERIMENT = ExperimentConfig(
    ModelConfig(patch_size=8, dims=(8, 16), depths=(1, 1), n_div=4),
    DataConfig(),
    TrainConfig(epochs=2, batch_size=64, precision="float32"),
)


def best(**values):
    """Returns the KerasTuner config of a search with these best values."""
    hp = keras_tuner.HyperParameters()
    for name, value in values.items():
        hp.Fixed(name.replace("__", "."), value)
    return hp.get_config()


def execute(examples, folder, experiment=EXPERIMENT, hyperparameters=None):
    """Runs the Trainer, with outputs in folder/model and folder/run."""
    inputs = {"examples": [executions.examples(examples)]}
    if hyperparameters:
        (folder / "best").mkdir(parents=True)
        (folder / "best" / "best_hyperparameters.txt").write_text(json.dumps(hyperparameters))
        inputs["hyperparameters"] = [executions.artifact(standard_artifacts.HyperParameters, folder / "best")]
    config = TrainerConfig(experiment, str(folder / "training"))
    GenericExecutor(executions.context(folder)).Do(
        inputs,
        {
            "model": [executions.artifact(standard_artifacts.Model, folder / "model")],
            "model_run": [executions.artifact(standard_artifacts.ModelRun, folder / "run")],
        },
        {
            "run_fn": "components.trainer.run_fn.run_fn",
            "train_args": "{}",
            "eval_args": "{}",
            "custom_config": json.dumps(to_dict(config)),
        },
    )


def exported_weights(folder):
    """Returns the bytes of the exported variables."""
    return (folder / "model/Format-Serving/variables/variables.data-00000-of-00001").read_bytes()


@pytest.fixture(scope="module")
def trained(drawn_examples, tmp_path_factory):
    """The folder of an execution with hyperparameters, on examples without a test split."""
    folder = tmp_path_factory.mktemp("trainer")
    execute(drawn_examples, folder, hyperparameters=best(train__learning_rate=0.0025, model__drop_path=0.05))
    return folder


def test_recorded_experiment_has_the_hyperparameters_of_the_search(trained):
    recorded = json.loads((trained / "run" / EXPERIMENT_FILE).read_text())

    expected = to_dict(EXPERIMENT.for_data(CIFAR10))
    expected["train"]["learning_rate"], expected["model"]["drop_path"] = 0.0025, 0.05
    assert recorded == expected


def test_history_and_tensorboard_logs_are_kept(trained):
    with (trained / "run" / "history.csv").open() as file:
        assert [row["epoch"] for row in csv.DictReader(file)] == ["0", "1"]
    assert list((trained / "run").glob("train/events*"))


def test_model_answers_with_the_class_names_of_the_source(trained):
    loaded = tf.saved_model.load(str(trained / "model" / "Format-Serving"))
    png = tf.io.encode_png(tf.zeros((32, 32, 3), tf.uint8))

    answer = loaded.signatures["serving_default"](image_bytes=tf.stack([png]))

    assert answer["class_name"].numpy()[0].decode() in shapes.CLASS_NAMES
    assert answer["probabilities"].shape == (1, 10)


@pytest.mark.slow
def test_the_state_outlives_the_training_and_a_repetition_trains_nothing(drawn_examples, tmp_path):
    execute(drawn_examples, tmp_path)
    [state] = states.finished(tmp_path)
    history = (state.folder / "history.csv").stat().st_mtime_ns
    weights = exported_weights(tmp_path)
    shutil.rmtree(tmp_path / "model")  # the upload that follows the step failed

    execute(drawn_examples, tmp_path)

    assert (state.folder / "history.csv").stat().st_mtime_ns == history
    assert exported_weights(tmp_path) == weights
    assert (tmp_path / "run/history.csv").read_text() == (state.folder / "history.csv").read_text()
    assert state.bytes > 1000 and states.remove(state.folder) and not state.folder.exists()


@pytest.mark.slow
def test_the_search_chooses_among_the_stages_that_fit_the_images(drawn_examples, tmp_path):
    """Of the eight stages, images of 32 pixels have room for six, so the dimensions of a search are those of six."""
    deep = replace(EXPERIMENT, model=ModelConfig(dims=(8,) * 8, depths=(1,) * 8, n_div=4))

    execute(drawn_examples, tmp_path, deep, best(model__dims="8,8,8,8,8,16"))

    model = json.loads((tmp_path / "run" / EXPERIMENT_FILE).read_text())["model"]
    assert (model["patch_size"], model["dims"], model["depths"]) == (1, [8, 8, 8, 8, 8, 16], [1] * 6)


def test_experiment_is_unchanged_without_a_search():
    assert run_fn.tuned(EXPERIMENT, None) == EXPERIMENT


def test_unknown_hyperparameter_raises():
    with pytest.raises(ConfigError, match=r"unknown key train\.learning_rat"):
        run_fn.tuned(EXPERIMENT, best(train__learning_rat=0.1))


def test_resume_folder_depends_on_experiment_data_and_stack(monkeypatch):
    longer = from_dict(ExperimentConfig, to_dict(EXPERIMENT) | {"train": {"epochs": 3}})
    folders = [
        resume_folder("r", *arguments) for arguments in ((EXPERIMENT, ["a"]), (longer, ["a"]), (EXPERIMENT, ["b"]))
    ]

    assert folders[0] == resume_folder("r", EXPERIMENT, ["a"]) and len(set(folders)) == 3
    monkeypatch.setattr(training, "STACK", "another")
    assert folders[0] != resume_folder("r", EXPERIMENT, ["a"])


def test_diverged_training_leaves_no_model(drawn_examples, tmp_path):
    with pytest.raises(UserError, match="training diverged"):
        execute(drawn_examples, tmp_path, trainings.diverging_experiment())

    assert not (tmp_path / "model").exists()
