"""A search through the Tuner's executor, whose best hyperparameters the Trainer applies."""

import dataclasses
import json
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import executions
import pytest
from tfx.types import standard_artifacts
from waiting import HANG_SECONDS

from components.trainer.run_fn import tuned
from components.tuner import component
from components.tuner.component import Executor
from components.tuner.config import TunerConfig
from shiftvit.config import DataConfig, ExperimentConfig, ModelConfig, TrainConfig, to_dict
from shiftvit.errors import ConfigError
from tuner import results
from tuner.config import TuneConfig
from tuner.results import REPORT_FILE, RESULTS_FILE

ROOT = Path(__file__).parents[2]
EXPERIMENT = ExperimentConfig(
    ModelConfig(patch_size=8, dims=(8, 16), depths=(1, 1), n_div=4),
    DataConfig(crop_padding=0, flip=False),
    TrainConfig(epochs=7, batch_size=32, precision="float32"),
)
TUNE = TuneConfig(trials=2, epochs=1, steps_per_epoch=2)

pytestmark = pytest.mark.slow


def search(drawn_examples, folder, resume_root):
    """Runs the executor on examples without a test split."""
    outputs = {
        "best_hyperparameters": standard_artifacts.HyperParameters,
        "tuner_results": standard_artifacts.TunerResults,
    }
    Executor(executions.context(folder / "tmp")).Do(
        {"examples": [executions.examples(drawn_examples)]},
        {key: [executions.artifact(kind, folder / key)] for key, kind in outputs.items()},
        {
            "tuner_fn": "components.tuner.component.tuner_fn",
            "train_args": "{}",
            "eval_args": "{}",
            "custom_config": json.dumps(to_dict(TunerConfig(TUNE, EXPERIMENT, "", "", str(resume_root)))),
        },
    )
    return folder


@pytest.fixture(scope="module")
def resume_root(tmp_path_factory):
    return tmp_path_factory.mktemp("tuning")


@pytest.fixture(scope="module")
def outputs(drawn_examples, tmp_path_factory, resume_root):
    """The folder of the Tuner's outputs after a search of two trials."""
    return search(drawn_examples, tmp_path_factory.mktemp("tuner"), resume_root)


def best_of(outputs):
    return json.loads((outputs / "best_hyperparameters" / "best_hyperparameters.txt").read_text())


def test_trainer_applies_the_first_row_of_the_leaderboard(outputs):
    first = results.read(outputs / "tuner_results" / RESULTS_FILE).leaderboard()[0]

    assert best_of(outputs)["values"] == first.values
    assert tuned(EXPERIMENT, best_of(outputs)).train.learning_rate == first.values["train.learning_rate"]
    assert tuned(EXPERIMENT, best_of(outputs)).train.epochs == 7, "of the final training, not of a trial"


def test_outputs_hold_the_table_of_tfx_all_trials_and_the_report(outputs):
    table = json.loads((outputs / "tuner_results" / "tuner_results.json").read_text())
    ours = results.read(outputs / "tuner_results" / RESULTS_FILE)

    assert [(row["trial_id"], row["score"]) for row in table] == [(t.id, t.score) for t in ours.leaderboard()]
    assert len(ours.trials) == 2 and all(trial.curve for trial in ours.trials)
    assert "<html" in (outputs / "tuner_results" / REPORT_FILE).read_text()


def test_repeated_search_reuses_all_trials(outputs, drawn_examples, tmp_path, resume_root):
    again = search(drawn_examples, tmp_path, resume_root)

    assert best_of(again) == best_of(outputs)
    before, after = (results.read(f / "tuner_results" / RESULTS_FILE).trials for f in (outputs, again))
    assert after == before, "including the times: no trial ran again"
    assert len(list(resume_root.iterdir())) == 1


def test_two_searches_at_once_take_turns_and_share_their_trials(drawn_examples, tmp_path):
    program = "import sys; from pathlib import Path; import test_tuner; test_tuner.search(*map(Path, sys.argv[1:4]))"
    path = os.pathsep.join(map(str, [ROOT, ROOT / "tests" / "helpers", Path(__file__).parent]))
    folders = [tmp_path / "a", tmp_path / "b"]
    both = [
        subprocess.Popen(
            [sys.executable, "-c", program, str(drawn_examples), str(folder), str(tmp_path / "tuning")],
            env={**os.environ, "PYTHONPATH": path},
            stderr=subprocess.PIPE,
            text=True,
        )
        for folder in folders
    ]
    errors = [process.communicate(timeout=HANG_SECONDS)[1] for process in both]

    assert [process.returncode for process in both] == [0, 0], errors
    first, second = (results.read(folder / "tuner_results" / RESULTS_FILE).trials for folder in folders)
    assert first == second and len(first) == 2, "including the times: no trial ran twice"


def test_a_search_is_not_resumed_on_the_other_stack(monkeypatch):
    config = TunerConfig(TUNE, EXPERIMENT, "", "", "searches")
    name = component._digest(config, ["train"])
    assert component._digest(config, ["train"]) == name

    monkeypatch.setattr(component, "STACK", "another")
    assert component._digest(config, ["train"]) != name


def test_a_batch_that_the_training_split_does_not_fill_is_refused_before_the_first_trial(drawn_examples, tmp_path):
    large = dataclasses.replace(EXPERIMENT, train=TrainConfig(batch_size=20_000))
    files = [f"{drawn_examples}/Split-{split}/*" for split in ("train", "eval")]
    config = to_dict(TunerConfig(TUNE, large, "", "", str(tmp_path / "resume")))

    with pytest.raises(
        ConfigError, match=r"train\.batch_size=20000 is more than the 10,000 images of the training split"
    ):
        component.tuner_fn(SimpleNamespace(custom_config=config, train_files=files[:1], eval_files=files[1:]))
    assert not (tmp_path / "resume").exists()
