"""The training through TFX's own Trainer executor."""

import csv
import json

import executions
import keras_tuner
import pytest
import tensorflow as tf
from tfx.components.trainer.executor import GenericExecutor
from tfx.types import standard_artifacts

from components.trainer import run_fn
from components.trainer.config import TrainerConfig
from components.trainer.training import EXPERIMENT_FILE, resume_folder
from shiftvit.config import DataConfig, ExperimentConfig, ModelConfig, TrainConfig, from_dict, to_dict
from shiftvit.errors import ConfigError, UserError
from shiftvit.features import NUM_CLASSES

EXPERIMENT = ExperimentConfig(
    ModelConfig(patch_size=8, dims=(8, 16), depths=(1, 1), n_div=4),
    DataConfig(),
    TrainConfig(epochs=2, batch_size=64, precision="float32"),
)
CLASS_NAMES = [f"class {number}" for number in range(NUM_CLASSES)]


def best(**values):
    """Returns the KerasTuner config that a search with these best values leaves."""
    hp = keras_tuner.HyperParameters()
    for name, value in values.items():
        hp.Fixed(name.replace("__", "."), value)
    return hp.get_config()


def execute(examples, folder, experiment=EXPERIMENT, hyperparameters=None):
    """Runs the Trainer; its model goes to folder/model, its ModelRun to folder/run."""
    inputs = {"examples": [executions.examples(examples)]}
    if hyperparameters:
        (folder / "best").mkdir(parents=True)
        (folder / "best" / "best_hyperparameters.txt").write_text(json.dumps(hyperparameters))
        inputs["hyperparameters"] = [executions.artifact(standard_artifacts.HyperParameters, folder / "best")]
    config = TrainerConfig(experiment, tuple(CLASS_NAMES), str(folder / "training"))
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


@pytest.fixture(scope="module")
def trained(drawn_examples, tmp_path_factory):
    """The folder of an execution with hyperparameters; the examples have no test split to look at."""
    folder = tmp_path_factory.mktemp("trainer")
    execute(drawn_examples, folder, hyperparameters=best(train__learning_rate=0.0025, model__drop_path=0.05))
    return folder


def test_the_record_of_the_experiment_has_the_hyperparameters_of_the_search(trained):
    recorded = json.loads((trained / "run" / EXPERIMENT_FILE).read_text())

    expected = to_dict(EXPERIMENT)
    expected["train"]["learning_rate"], expected["model"]["drop_path"] = 0.0025, 0.05
    assert recorded == expected


def test_the_record_has_a_row_for_each_epoch_and_logs_for_tensorboard(trained):
    with (trained / "run" / "history.csv").open() as file:
        assert [row["epoch"] for row in csv.DictReader(file)] == ["0", "1"]
    assert list((trained / "run").glob("train/events*"))


def test_the_model_answers_in_the_sources_class_names(trained):
    loaded = tf.saved_model.load(str(trained / "model" / "Format-Serving"))
    png = tf.io.encode_png(tf.zeros((32, 32, 3), tf.uint8))

    answer = loaded.signatures["serving_default"](image_bytes=tf.stack([png]))

    assert answer["class_name"].numpy()[0].decode() in CLASS_NAMES
    assert answer["probabilities"].shape == (1, NUM_CLASSES)


def test_nothing_is_left_of_a_training_that_is_over(trained):
    assert list((trained / "training").iterdir()) == []


def test_without_a_search_the_experiment_stays_as_it_is():
    assert run_fn.tuned(EXPERIMENT, None) == EXPERIMENT


def test_a_hyperparameter_that_is_no_key_is_refused():
    with pytest.raises(ConfigError, match=r"unknown key train\.learning_rat"):
        run_fn.tuned(EXPERIMENT, best(train__learning_rat=0.1))


def test_a_training_is_found_again_by_what_it_trains_and_on_what():
    longer = from_dict(ExperimentConfig, to_dict(EXPERIMENT) | {"train": {"epochs": 3}})
    folders = [resume_folder("r", *what) for what in ((EXPERIMENT, ["a"]), (longer, ["a"]), (EXPERIMENT, ["b"]))]

    assert folders[0] == resume_folder("r", EXPERIMENT, ["a"]) and len(set(folders)) == 3


def test_a_training_that_diverges_leaves_no_model(drawn_examples, tmp_path):
    wild = from_dict(
        ExperimentConfig,
        to_dict(EXPERIMENT)
        | {
            "train": to_dict(
                TrainConfig(epochs=3, batch_size=64, learning_rate=1e30, clip_norm=0.0, precision="float32")
            )
        },
    )

    with pytest.raises(UserError, match="training diverged"):
        execute(drawn_examples, tmp_path, wild)

    assert not (tmp_path / "model").exists()
