"""The search through TFX's own Tuner executor."""

import json

import executions
import pytest
from tfx.components.tuner.executor import Executor
from tfx.types import standard_artifacts

from shiftvit.config import DataConfig, ExperimentConfig, ModelConfig, TrainConfig, to_dict

EXPERIMENT = ExperimentConfig(
    ModelConfig(patch_size=8, dims=(8, 16), depths=(1, 1), n_div=4),
    DataConfig(crop_padding=0, flip=False),
    TrainConfig(epochs=1, batch_size=32, steps_per_epoch=2, precision="float32"),
)


@pytest.fixture(scope="module")
def outputs(drawn_examples, tmp_path_factory):
    """The folder with what the Tuner left of a search of two trials; the examples have no test split to look at."""
    folder = tmp_path_factory.mktemp("tuner")
    made = {
        "best_hyperparameters": standard_artifacts.HyperParameters,
        "tuner_results": standard_artifacts.TunerResults,
    }
    config = {"experiment": to_dict(EXPERIMENT), "trials": 2, "code": "0"}
    Executor(executions.context(folder / "tmp")).Do(
        {"examples": [executions.examples(drawn_examples)]},
        {key: [executions.artifact(kind, folder / key)] for key, kind in made.items()},
        {
            "tuner_fn": "components.tuning.tuner_fn",
            "train_args": "{}",
            "eval_args": "{}",
            "custom_config": json.dumps(config),
        },
    )
    return folder


def test_the_best_hyperparameters_are_keys_of_the_experiment(outputs):
    best = json.loads((outputs / "best_hyperparameters" / "best_hyperparameters.txt").read_text())["values"]

    experiment = to_dict(EXPERIMENT)
    assert best
    for name in best:
        group, _, key = name.partition(".")
        assert key in experiment[group]


def test_the_best_is_the_best_of_all_trials(outputs):
    best = json.loads((outputs / "best_hyperparameters" / "best_hyperparameters.txt").read_text())["values"]
    results = json.loads((outputs / "tuner_results" / "tuner_results.json").read_text())

    assert len(results) == 2
    winner = max(results, key=lambda result: result["score"])
    assert {name: winner[name] for name in best} == best


def test_the_search_works_in_the_executions_temporary_folder(outputs):
    assert list((outputs / "tmp").rglob("oracle.json"))
