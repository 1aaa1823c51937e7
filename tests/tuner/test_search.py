import json
import logging

import pytest
import tensorflow as tf

from shiftvit.config import DataConfig, ExperimentConfig, ModelConfig, TrainConfig
from shiftvit.errors import ConfigError, UserError
from shiftvit.progress import FACTS, LOGGER
from tuner import space
from tuner.search import make_tuner

EXPERIMENT = ExperimentConfig(
    ModelConfig(patch_size=8, dims=(8, 16), depths=(1, 1), n_div=4),
    DataConfig(crop_padding=0, flip=False),
    TrainConfig(epochs=1, batch_size=32, steps_per_epoch=3, precision="float32"),
)


@pytest.fixture(scope="module")
def searched(drawn_examples, tmp_path_factory):
    """A search of two trials: the tuner, the progress it reported, and its folder."""
    folder, facts, handler = tmp_path_factory.mktemp("search"), [], logging.Handler()
    handler.emit = lambda record: facts.append(getattr(record, FACTS))
    LOGGER.addHandler(handler)
    tuner = make_tuner(
        EXPERIMENT, 2, [f"{drawn_examples}/Split-train/*"], [f"{drawn_examples}/Split-eval/*"], str(folder)
    )
    tuner.search()
    LOGGER.removeHandler(handler)
    return tuner, facts, folder


def test_every_trial_is_run_and_scored_by_the_accuracy_on_the_eval_split(searched):
    trials = searched[0].oracle.get_best_trials(10)

    assert len(trials) == 2
    for trial in trials:
        assert trial.status == "COMPLETED" and trial.score == trial.metrics.get_best_value("val_top1")
    assert trials[0].score >= trials[1].score


def test_trials_differ_and_the_best_one_can_be_applied(searched):
    best, other = searched[0].get_best_hyperparameters(2)

    assert best.values != other.values
    assert space.apply(best, EXPERIMENT).train.learning_rate == best.values["train.learning_rate"]


def test_each_trial_trains_its_own_setting(searched, drawn_examples):
    tuner = searched[0]
    for hp in tuner.get_best_hyperparameters(2):
        model = tuner.hypermodel.build(hp)

        assert model.optimizer.learning_rate.peak == hp.values["train.learning_rate"]
        assert model.optimizer.learning_rate.total_steps == 3, "a schedule as long as the trial"
        assert model.loss.label_smoothing == hp.values["train.label_smoothing"]


def test_progress_is_told_in_trials(searched):
    done = [fact["done"] for fact in searched[1]]

    assert {(fact["stage"], fact["total"], fact["unit"]) for fact in searched[1]} == {("tune", 2, "trial")}
    assert done == sorted(done) and done[-1] == 2 and 1 in done


def test_a_mistake_in_the_space_is_told_before_any_trial(drawn_examples, tmp_path, monkeypatch):
    monkeypatch.setattr(space, "declare", lambda hp: hp.Float("train.learning_rat", 0.1, 1.0))

    with pytest.raises(ConfigError, match=r"unknown key train\.learning_rat; did you mean train\.learning_rate"):
        make_tuner(EXPERIMENT, 2, [f"{drawn_examples}/Split-train/*"], [], str(tmp_path))


def test_a_search_without_a_single_good_trial_is_an_error(drawn_examples, tmp_path):
    with tf.io.TFRecordWriter(str(tmp_path / "damaged")) as writer:
        writer.write(b"no example")
    tuner = make_tuner(EXPERIMENT, 2, [f"{drawn_examples}/Split-train/*"], [str(tmp_path / "damaged")], str(tmp_path))

    with pytest.raises(UserError, match="every trial of the search failed"):
        tuner.search()


def test_results_are_where_they_should_be(searched):
    oracle = json.loads((searched[2] / "search" / "oracle.json").read_text())

    assert len(oracle["start_order"]) == 2
