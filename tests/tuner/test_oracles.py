"""What a kill can leave of KerasTuner's files, and what is made of it."""

import json
import shutil

import keras_tuner
import pytest

from tuner.config import TuneConfig
from tuner.oracles import make_oracle

ALGORITHMS = ("random", "hyperband", "bayesian")


def oracle(folder, algorithm="random", seed=0, **tune):
    """Returns the oracle of a search in `folder`, with what an earlier one left there."""
    space = keras_tuner.HyperParameters()
    space.Float("rate", 1.0, 2.0, default=1.5)
    space.Choice("kind", ["a", "b"], default="b")
    with space.conditional_scope("kind", ["a"]):
        space.Float("depth", 0.0, 1.0, default=0.5)
    tune = TuneConfig(algorithm=algorithm, **{"trials": 20, "epochs": 3} | tune)
    made = make_oracle(tune, space, greater_is_better=True, seed=seed)
    made._set_project_dir(str(folder), "search")
    if made.is_started:
        made.reload()
    return made


def end(oracle, trial, score=0.5, status="COMPLETED"):
    if status == "COMPLETED":
        oracle.update_trial(trial.trial_id, {"val_top1": score})
    trial.status = status
    oracle.end_trial(trial)


def drawn(oracle, count):
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
@pytest.mark.parametrize("seed", [0, 7])
def test_a_seed_gives_the_same_trials(tmp_path, algorithm, seed):
    one, other = (drawn(oracle(tmp_path / name, algorithm, seed), 8) for name in "ab")

    assert one == other
    assert one != drawn(oracle(tmp_path / "c", algorithm, seed + 1), 8)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_search_that_is_taken_up_goes_on_as_if_nothing_had_happened(tmp_path, algorithm):
    whole = drawn(oracle(tmp_path / "whole", algorithm), 8)
    begun = drawn(oracle(tmp_path / "killed", algorithm), 5)

    taken_up = oracle(tmp_path / "killed", algorithm)

    assert begun == whole[:5]
    if algorithm == "bayesian":  # its restarts draw from a stream that is not kept
        assert len(drawn(taken_up, 3)) == 3
    else:
        assert [v["rate"] for v in drawn(taken_up, 3)] == [v["rate"] for v in whole[5:]]


def test_a_trial_that_ran_is_run_again_before_any_new_one(tmp_path):
    before = oracle(tmp_path)
    first, second = before.create_trial("one"), before.create_trial("two")

    after = oracle(tmp_path)

    assert [after.create_trial(name).trial_id for name in ("one", "two", "three")] == [
        first.trial_id,
        second.trial_id,
        "02",
    ]


def test_a_trial_that_ended_is_not_run_again_though_the_oracle_was_killed_before_it_noted_so(tmp_path):
    before = oracle(tmp_path)
    trial = before.create_trial("one")
    noted = (tmp_path / "search" / "oracle.json").read_text()
    end(before, trial)
    (tmp_path / "search" / "oracle.json").write_text(noted)  # the trial's own file is written first

    after = oracle(tmp_path)

    assert after.create_trial("one").trial_id == "01"
    assert after.get_best_trials()[0].score == 0.5


def test_a_trial_that_no_worker_heard_of_is_forgotten(tmp_path):
    before = oracle(tmp_path)
    drawn(before, 1)
    noted = (tmp_path / "search" / "oracle.json").read_text()
    lost = before.create_trial("one")
    (tmp_path / "search" / "oracle.json").write_text(noted)

    after = oracle(tmp_path)

    assert list(after.trials) == ["00"]
    again = after.create_trial("one")
    assert (again.trial_id, again.hyperparameters.values) == (lost.trial_id, lost.hyperparameters.values)


def test_files_appear_whole(tmp_path, monkeypatch):
    """A full disk, or a kill, in the middle of a write leaves the file that was there."""
    before = oracle(tmp_path)
    drawn(before, 2)
    monkeypatch.setattr(json, "dumps", lambda *_: 1 / 0)

    with pytest.raises(ZeroDivisionError):
        before.save()

    assert list(oracle(tmp_path).trials) == ["00", "01"]


def test_trials_are_in_the_order_of_their_starts_after_a_restart(tmp_path):
    drawn(oracle(tmp_path), 12)

    assert list(oracle(tmp_path).trials) == [f"{index:02}" for index in range(12)]


def test_the_time_it_took_is_remembered(tmp_path):
    before = oracle(tmp_path)
    before.seconds = 12.5
    drawn(before, 1)

    assert oracle(tmp_path).seconds == 12.5


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_failures_in_a_row_do_not_end_the_search(tmp_path, algorithm):
    searched = oracle(tmp_path, algorithm)
    for _ in range(6):
        end(searched, searched.create_trial("worker"), status="FAILED")

    assert searched.create_trial("worker").status == "RUNNING"


@pytest.mark.parametrize("restart", [False, True])
def test_hyperband_fills_the_place_of_a_failed_trial(tmp_path, restart):
    searched = oracle(tmp_path, "hyperband")  # rounds of three trials of one epoch, and of the best one for three
    for score in (0.1, None, 0.3):
        end(searched, searched.create_trial("worker"), score, "COMPLETED" if score else "FAILED")
    if restart:
        searched = oracle(tmp_path, "hyperband")

    substitute = searched.create_trial("worker")
    assert substitute.hyperparameters.values["tuner/epochs"] == 1
    end(searched, substitute, 0.2)
    promoted = searched.create_trial("worker").hyperparameters.values
    assert (promoted["tuner/epochs"], promoted["tuner/trial_id"]) == (3, "02")


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_trials_and_time_are_budgets(tmp_path, algorithm):
    searched = oracle(tmp_path, algorithm, trials=3)
    drawn(searched, 3)
    assert not searched.is_over and searched.create_trial("worker").status == "STOPPED" and searched.is_over

    hurried = oracle(tmp_path / "hurried", algorithm)
    drawn(hurried, 2)
    hurried.may_start = lambda: False
    assert hurried.create_trial("worker").status == "STOPPED" and hurried.is_over


def test_a_search_is_not_over_while_a_trial_runs(tmp_path):
    searched = oracle(tmp_path, trials=1)
    running = searched.create_trial("one")
    searched.create_trial("two")

    assert searched.stopped and not searched.is_over
    end(searched, running)
    assert searched.is_over


def test_a_folder_that_is_gone_is_a_new_search(tmp_path):
    drawn(oracle(tmp_path), 2)
    shutil.rmtree(tmp_path / "search")

    assert oracle(tmp_path).create_trial("one").trial_id == "00"
