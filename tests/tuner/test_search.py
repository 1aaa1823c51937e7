"""Searches with real workers and trials."""

import contextlib
import dataclasses
import time

import pytest
import searches

from shiftvit.config import ModelConfig
from shiftvit.errors import ConfigError, UserError
from tuner import results
from tuner.config import TuneConfig
from tuner.results import COMPLETED, STOPPED
from tuner.search import check
from tuner.space import apply


@pytest.fixture(scope="module")
def finished_search(drawn_examples, tmp_path_factory):
    """A random search of three trials that has ended."""
    search = searches.make(drawn_examples, tmp_path_factory.mktemp("finished") / "search", trials=3, early_stop=False)
    search.search()
    return search


def test_every_trial_is_trained_for_all_epochs_and_scored_after_the_last(finished_search):
    trials = finished_search.results().trials

    assert [(trial.id, trial.state, trial.epochs) for trial in trials] == [(str(i), COMPLETED, 2) for i in range(3)]
    for trial in trials:
        assert trial.score == trial.curve[-1]["val_top1"] and trial.seconds > 0


def test_the_first_trial_is_the_unchanged_configuration_and_the_others_differ(finished_search):
    first, *others = (trial.values["train.learning_rate"] for trial in finished_search.results().trials)

    assert first == searches.EXPERIMENT.train.learning_rate
    assert len({first, *others}) == 3


def test_each_trial_trains_with_its_own_setting(finished_search):
    losses = {trial.curve[0]["loss"] for trial in finished_search.results().trials}

    assert len(losses) == 3, "with the same network and data, only the learning rate changes the loss"


def test_the_search_has_the_attributes_that_tfx_needs(finished_search):
    best = finished_search.get_best_hyperparameters()[0].values

    assert best == finished_search.results().leaderboard()[0].values
    assert apply(best, searches.EXPERIMENT).train.learning_rate == best["train.learning_rate"]
    assert finished_search.oracle.max_trials == 3


def test_a_finished_search_does_not_run_again(finished_search, drawn_examples):
    started = time.monotonic()
    again = searches.make(drawn_examples, finished_search.folder.path, trials=3, early_stop=False)
    before = results.to_json(again.results())
    again.search()

    assert [t.values for t in again.results().trials] == [t.values for t in finished_search.results().trials]
    assert results.to_json(again.results()).split('"seconds"')[:-1] == before.split('"seconds"')[:-1]
    assert again.oracle.seconds - finished_search.oracle.seconds <= time.monotonic() - started


@pytest.mark.slow
def test_a_larger_budget_keeps_the_finished_trials(finished_search, drawn_examples):
    more = searches.make(drawn_examples, finished_search.folder.path, trials=4, early_stop=False)
    more.search()

    assert [t.curve for t in more.results().trials[:3]] == [t.curve for t in finished_search.results().trials]
    assert len(more.results().trials) == 4


@pytest.mark.slow
def test_the_same_seed_gives_the_same_trials_whatever_the_workers(finished_search, drawn_examples, tmp_path):
    again = searches.make(drawn_examples, tmp_path / "search", trials=3, early_stop=False, workers=2)
    again.search()

    assert [t.values for t in again.results().trials] == [t.values for t in finished_search.results().trials]


@pytest.mark.slow
def test_a_bayesian_search_chooses_by_the_scores_of_its_trials(drawn_examples, tmp_path):
    search = searches.make(drawn_examples, tmp_path / "search", algorithm="bayesian", trials=5, epochs=1)
    search.search()

    trials = search.results().trials
    assert [trial.state for trial in trials] == [COMPLETED] * 5
    oracle = searches.make(drawn_examples, tmp_path / "random", trials=5, epochs=1).oracle
    random = [oracle.create_trial(str(i)).hyperparameters.values for i in range(5)]
    assert [t.values for t in trials[:3]] == random[:3] and [t.values for t in trials[3:]] != random[3:]


@pytest.mark.slow
def test_trials_that_crash_or_diverge_are_recorded_as_failed(drawn_examples, tmp_path):
    steps = searches.DIVERGING_STEPS
    search = searches.make(
        drawn_examples, tmp_path / "search", trials=6, space="searches.dangerous", steps_per_epoch=steps
    )

    search.search()  # tries all six settings, of which four cannot be trained

    good, bad = search.results().leaderboard(), search.results().failures()
    assert len(good) == 2 and len(bad) == 4
    assert {trial.values["train.learning_rate"] for trial in good} == {1e-3, 2e-3}
    for trial in bad:
        crashed = trial.values["model.image_size"] == searches.CRASHING_IMAGE_SIZE
        assert trial.cause and ("training diverged at step" in trial.cause) != crashed


@pytest.mark.slow
def test_a_search_whose_trials_all_fail_is_an_error_with_the_cause(drawn_examples, tmp_path):
    steps = searches.DIVERGING_STEPS
    search = searches.make(drawn_examples, tmp_path / "search", space="searches.deadly", steps_per_epoch=steps)

    with pytest.raises(UserError, match=r"every trial of the search failed; .* trial 0: training diverged"):
        search.search()


@pytest.mark.slow
def test_hyperband_continues_the_best_trial_from_its_checkpoint(drawn_examples, tmp_path):
    search = searches.make(drawn_examples, tmp_path / "search", algorithm="hyperband", epochs=3, trials=5)
    search.search()

    trials = search.results().trials  # three of one epoch, the best of them continued to three; then a new round
    assert [trial.epochs for trial in trials[:4]] == [1, 1, 1, 3]
    best = max(trials[:3], key=lambda trial: trial.score)
    assert trials[3].curve[0] == best.curve[0], "its first epoch is that of the trial it continues"
    assert trials[3].values == best.values
    assert search.get_best_hyperparameters()[0].values == search.results().leaderboard()[0].values


@pytest.mark.slow
def test_a_hopeless_trial_is_stopped_and_the_lowest_loss_wins(drawn_examples, tmp_path):
    search = searches.make(
        drawn_examples,
        tmp_path / "search",
        space="searches.hopeless",
        trials=4,
        epochs=4,
        steps_per_epoch=12,
        objective="val_loss",
    )
    search.search()

    *others, hopeless = leaderboard = search.results().leaderboard()
    assert hopeless.values["train.learning_rate"] == 1e-12
    assert hopeless.state == STOPPED and 2 <= hopeless.epochs < 4
    assert hopeless.cause.startswith(f"stopped after {hopeless.epochs} of 4 epochs: its best val_loss")
    assert [(trial.state, trial.epochs) for trial in others] == [(COMPLETED, 4)] * 3
    losses = [trial.curve[-1]["val_loss"] for trial in leaderboard]
    assert [trial.score for trial in leaderboard] == losses == sorted(losses)
    assert search.get_best_hyperparameters()[0].values == others[0].values


@pytest.mark.parametrize(
    "tune, message",
    [
        ({"space": "searches.empty"}, "tune.space=searches.empty declares no hyperparameter"),
        ({"space": "searches.nowhere"}, "tune.space=searches.nowhere: cannot be imported"),
        ({"space": "searches.EXPERIMENT"}, "tune.space=searches.EXPERIMENT is not a function"),
        ({"space": "nowhere"}, "tune.space=nowhere: cannot be imported"),
        ({"space": "searches.unknown"}, r"unknown key train\.learning_rat; did you mean train\.learning_rate"),
        ({"workers": 999}, r"tune.workers=999, but this machine has \d+ (cores|GPUs)"),
    ],
)
def test_invalid_settings_are_refused_before_anything_is_written(tune, message, drawn_examples, tmp_path):
    with pytest.raises(ConfigError, match=message):
        searches.make(drawn_examples, tmp_path / "search", **tune)
    assert not (tmp_path / "search").exists()


@pytest.mark.parametrize(("classes", "refused"), [(0, False), (5, True), (6, False)])
def test_top5_is_no_objective_with_five_classes_or_fewer(classes, refused):
    experiment = dataclasses.replace(searches.EXPERIMENT, model=ModelConfig(num_classes=classes))
    expected = pytest.raises(ConfigError, match=f"tune.objective=val_top5 needs at least 6 classes.* has {classes}: ")

    with expected if refused else contextlib.nullcontext():
        check(TuneConfig(objective="val_top5"), experiment)
