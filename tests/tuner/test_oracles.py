"""The oracles, above all their recovery from a kill at any moment."""

import json
import shutil

import keras_tuner
import pytest

from tuner.config import TuneConfig
from tuner.oracles import make_oracle

ALGORITHMS = ("random", "hyperband", "bayesian")


def oracle(folder, algorithm="random", seed=0, **tune):
    """Returns the oracle of a search in `folder`; it continues an earlier one there."""
    space = keras_tuner.HyperParameters()
    space.Float("rate", 1.0, 2.0, default=1.5)
    space.Choice("kind", ["a", "b"], default="b")
    with space.conditional_scope("kind", ["a"]):
        space.Float("depth", 0.0, 1.0, default=0.5)
    tune = TuneConfig(algorithm=algorithm, **{"trials": 20, "epochs": 3} | tune)
    result = make_oracle(tune, space, seed)
    result._set_project_dir(str(folder), "search")
    if result.is_started:
        result.reload()
    return result


def end(oracle, trial, score=0.5, status="COMPLETED"):
    if status == "COMPLETED":
        oracle.update_trial(trial.trial_id, {"val_top1": score})
    trial.status = status
    oracle.end_trial(trial)


def run_trials(oracle, count):
    """Runs `count` trials and returns their values."""
    values = []
    for index in range(count):
        trial = oracle.create_trial("worker")
        values.append(trial.hyperparameters.values)
        end(oracle, trial, score=index / 100)
    return values


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_the_first_trial_has_every_default(tmp_path, algorithm):
    first = oracle(tmp_path, algorithm).create_trial("worker").hyperparameters.values

    assert {name: first[name] for name in ("rate", "kind")} == {"rate": 1.5, "kind": "b"} and "depth" not in first


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_the_same_seed_gives_the_same_trials(tmp_path, algorithm):
    first, second = (run_trials(oracle(tmp_path / name, algorithm, trials=5), 4) for name in ("first", "second"))

    assert first == second
    assert first != run_trials(oracle(tmp_path / "third", algorithm, seed=1, trials=5), 4)


def test_bayesian_optimization_uses_the_scores_after_its_first_random_trials(tmp_path):
    bayesian, random = (run_trials(oracle(tmp_path / name, name, trials=5), 5) for name in ("bayesian", "random"))

    assert bayesian[:3] == random[:3] and bayesian[3:] != random[3:]


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_resumed_search_continues_as_if_never_killed(tmp_path, algorithm):
    uninterrupted = run_trials(oracle(tmp_path / "uninterrupted", algorithm), 8)
    before = run_trials(oracle(tmp_path / "killed", algorithm), 5)

    resumed = oracle(tmp_path / "killed", algorithm)

    assert before == uninterrupted[:5]
    if algorithm == "bayesian":  # the state of its random generator is not saved
        assert len(run_trials(resumed, 3)) == 3
    else:
        assert [v["rate"] for v in run_trials(resumed, 3)] == [v["rate"] for v in uninterrupted[5:]]


def test_unfinished_trials_run_again_before_any_new_one(tmp_path):
    before = oracle(tmp_path)
    first, second = before.create_trial("one"), before.create_trial("two")

    after = oracle(tmp_path)

    assert [after.create_trial(name).trial_id for name in ("one", "two", "three")] == [
        first.trial_id,
        second.trial_id,
        "02",
    ]


def test_a_trial_that_ended_does_not_run_again_if_the_kill_precedes_the_record_of_its_end(tmp_path):
    before = oracle(tmp_path)
    trial = before.create_trial("one")
    saved = (tmp_path / "search" / "oracle.json").read_text()
    end(before, trial)
    (tmp_path / "search" / "oracle.json").write_text(saved)  # the trial's own file is written first

    after = oracle(tmp_path)

    assert after.create_trial("one").trial_id == "01"
    assert after.get_best_trials()[0].score == 0.5


def test_a_trial_that_no_worker_has_received_is_forgotten(tmp_path):
    before = oracle(tmp_path)
    run_trials(before, 1)
    saved = (tmp_path / "search" / "oracle.json").read_text()
    lost = before.create_trial("one")
    (tmp_path / "search" / "oracle.json").write_text(saved)

    after = oracle(tmp_path)

    assert list(after.trials) == ["00"]
    again = after.create_trial("one")
    assert (again.trial_id, again.hyperparameters.values) == (lost.trial_id, lost.hyperparameters.values)


def test_a_failed_write_keeps_the_old_file(tmp_path, monkeypatch):
    before = oracle(tmp_path)
    run_trials(before, 2)
    monkeypatch.setattr(json, "dumps", lambda *_: 1 / 0)

    with pytest.raises(ZeroDivisionError):
        before.save()

    assert list(oracle(tmp_path).trials) == ["00", "01"]


def test_trials_keep_the_order_of_their_starts_after_a_restart(tmp_path):
    run_trials(oracle(tmp_path), 12)

    assert list(oracle(tmp_path).trials) == [f"{index:02}" for index in range(12)]


def test_the_elapsed_time_is_restored(tmp_path):
    before = oracle(tmp_path)
    before.seconds = 12.5
    run_trials(before, 1)

    assert oracle(tmp_path).seconds == 12.5


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_failures_in_a_row_do_not_end_the_search(tmp_path, algorithm):
    search = oracle(tmp_path, algorithm)
    for _ in range(6):
        end(search, search.create_trial("worker"), status="FAILED")

    assert search.create_trial("worker").status == "RUNNING"


@pytest.mark.parametrize("restart", [False, True])
def test_hyperband_replaces_a_failed_trial(tmp_path, restart):
    search = oracle(tmp_path, "hyperband")  # three trials of one epoch, then the best of them for three
    for score in (0.1, None, 0.3):
        end(search, search.create_trial("worker"), score, "COMPLETED" if score else "FAILED")
    if restart:
        search = oracle(tmp_path, "hyperband")

    substitute = search.create_trial("worker")
    assert substitute.hyperparameters.values["tuner/epochs"] == 1
    end(search, substitute, 0.2)
    promoted = search.create_trial("worker").hyperparameters.values
    assert (promoted["tuner/epochs"], promoted["tuner/trial_id"]) == (3, "02")


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_the_search_ends_with_its_trials_or_its_time(tmp_path, algorithm):
    search = oracle(tmp_path, algorithm, trials=3)
    run_trials(search, 3)
    assert not search.is_over and search.create_trial("worker").status == "STOPPED" and search.is_over

    late = oracle(tmp_path / "late", algorithm)
    run_trials(late, 2)
    late.may_start = lambda: False
    assert late.create_trial("worker").status == "STOPPED" and late.is_over


def test_a_search_is_not_over_while_a_trial_is_running(tmp_path):
    search = oracle(tmp_path, trials=1)
    running = search.create_trial("one")
    search.create_trial("two")

    assert search.stopped and not search.is_over
    end(search, running)
    assert search.is_over


def test_a_deleted_folder_starts_a_new_search(tmp_path):
    run_trials(oracle(tmp_path), 2)
    shutil.rmtree(tmp_path / "search")

    assert oracle(tmp_path).create_trial("one").trial_id == "00"
