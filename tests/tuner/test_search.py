"""The search for real: KerasTuner's oracle, workers and trials in processes of their own."""

import os
import signal
import socket
import subprocess
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
import searches
from ports import free_ports
from waiting import HANG_SECONDS, wait_until

from shiftvit.errors import ConfigError, UserError
from tuner import results
from tuner import search as search_module
from tuner.results import COMPLETED, STOPPED
from tuner.space import apply


@pytest.fixture(scope="module")
def searched(drawn_examples, tmp_path_factory):
    """A random search of three trials that has ended."""
    search = searches.make(drawn_examples, tmp_path_factory.mktemp("searched") / "search", trials=3, early_stop=False)
    search.search()
    return search


def test_every_trial_is_trained_for_its_epochs_and_scored_by_its_last_one(searched):
    trials = searched.results().trials

    assert [(trial.id, trial.state, trial.epochs) for trial in trials] == [(str(i), COMPLETED, 2) for i in range(3)]
    for trial in trials:
        assert trial.score == trial.curve[-1]["val_top1"] and trial.seconds > 0


def test_the_first_trial_is_the_configuration_as_it_stands_and_the_others_differ(searched):
    first, *others = (trial.values["train.learning_rate"] for trial in searched.results().trials)

    assert first == searches.EXPERIMENT.train.learning_rate
    assert len({first, *others}) == 3


def test_each_trial_trains_its_own_setting(searched):
    losses = {trial.curve[0]["loss"] for trial in searched.results().trials}

    assert len(losses) == 3, "the same network and data: only another learning rate gives another loss"


def test_tfx_finds_what_it_asks_of_a_tuner(searched):
    best = searched.get_best_hyperparameters()[0].values

    assert best == searched.results().leaderboard()[0].values
    assert apply(best, searches.EXPERIMENT).train.learning_rate == best["train.learning_rate"]
    assert searched.oracle.max_trials == 3


def test_a_search_that_has_ended_is_not_run_again(searched, drawn_examples):
    started = time.monotonic()
    again = searches.make(drawn_examples, searched.folder.path, trials=3, early_stop=False)
    before = results.to_json(again.results())
    again.search()

    assert [t.values for t in again.results().trials] == [t.values for t in searched.results().trials]
    assert results.to_json(again.results()).split('"seconds"')[:-1] == before.split('"seconds"')[:-1]
    assert again.oracle.seconds - searched.oracle.seconds <= time.monotonic() - started


@pytest.mark.slow
def test_more_trials_go_on_from_those_that_ended(searched, drawn_examples, tmp_path_factory):
    more = searches.make(drawn_examples, searched.folder.path, trials=4, early_stop=False)
    more.search()

    assert [t.curve for t in more.results().trials[:3]] == [t.curve for t in searched.results().trials]
    assert len(more.results().trials) == 4


@pytest.mark.slow
def test_the_same_seed_gives_the_same_trials(searched, drawn_examples, tmp_path):
    again = searches.make(drawn_examples, tmp_path / "search", trials=3, early_stop=False, workers=2)
    again.search()

    assert [t.values for t in again.results().trials] == [t.values for t in searched.results().trials]


@pytest.mark.slow
def test_trials_that_crash_or_diverge_are_recorded_and_the_best_of_the_rest_is_found(drawn_examples, tmp_path):
    search = searches.make(drawn_examples, tmp_path / "search", trials=6, space="searches.dangerous")

    search.search()  # of six settings, all: four cannot be trained

    found = search.results()
    good, bad = found.leaderboard(), found.failures()
    assert len(good) == 2 and len(bad) == 4
    assert {trial.values["train.learning_rate"] for trial in good} == {1e-3, 2e-3}
    for trial in bad:
        crashed = trial.values["model.image_size"] == searches.NO_FRIEND["crash"]
        assert ("OOM" if crashed else "training diverged at step") in trial.cause


@pytest.mark.slow
def test_a_search_without_a_single_good_trial_is_an_error_that_says_why(drawn_examples, tmp_path):
    search = searches.make(drawn_examples, tmp_path / "search", space="searches.deadly")

    with pytest.raises(UserError, match=r"every trial of the search failed; .* trial 0: training diverged"):
        search.search()


@pytest.mark.slow
def test_hyperband_goes_on_with_the_best_from_where_they_were(drawn_examples, tmp_path):
    search = searches.make(drawn_examples, tmp_path / "search", algorithm="hyperband", epochs=3, trials=5)
    search.search()

    trials = search.results().trials  # three of one epoch, the best of them for the other two; then a new round
    assert [trial.epochs for trial in trials[:4]] == [1, 1, 1, 3]
    best = max(trials[:3], key=lambda trial: trial.score)
    assert trials[3].curve[0] == best.curve[0], "its first epoch is that of the trial it goes on from"
    assert trials[3].values == best.values
    assert search.get_best_hyperparameters()[0].values == search.results().leaderboard()[0].values


@pytest.mark.slow
def test_bayesian_optimization_uses_what_it_has_seen(drawn_examples, tmp_path):
    search = searches.make(drawn_examples, tmp_path / "search", algorithm="bayesian", trials=5, epochs=1)
    search.search()

    trials = search.results().trials
    assert [trial.state for trial in trials] == [COMPLETED] * 5
    drawn = searches.make(drawn_examples, tmp_path / "random", trials=5, epochs=1).oracle
    random = [drawn.create_trial(str(i)).hyperparameters.values for i in range(5)]
    assert [t.values for t in trials[:3]] == random[:3] and [t.values for t in trials[3:]] != random[3:]


@pytest.mark.slow
def test_a_killed_search_keeps_what_ended_and_runs_nothing_twice(drawn_examples, tmp_path):
    """Killed three times, as the kernel would; what a finished trial wrote must not be touched again."""
    folder, written = tmp_path / "search", {}
    for ended in (1, 2, 4):
        process = searches.start(drawn_examples, folder, trials=6, epochs=2)
        wait_until(lambda ended=ended: len(finished(folder)) >= ended, process)
        process.send_signal(signal.SIGKILL)
        process.communicate()
        wait_until(lambda: not processes_with(str(folder)))  # workers and trials end with the search
        written |= finished(folder)
    output, _ = searches.start(drawn_examples, folder, trials=6, epochs=2).communicate()

    assert '"trials": 6' in output
    now = finished(folder)
    assert len(now) == 6 and {name: now[name] for name in written} == written


def finished(folder):
    """Returns when the history of each trial that KerasTuner knows to have ended was written."""
    found = {}
    for file in folder.glob("trial_*/trial.json"):
        if '"COMPLETED"' in file.read_text():
            found[file.parent.name] = (file.parent / "history.csv").stat().st_mtime_ns
    return found


def processes_with(text):
    """Returns the processes that have `text` in their command."""
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/cmdline") as file:
                if text in file.read():
                    found.append(int(pid))
        except OSError:
            pass
    return found


@pytest.mark.slow
def test_a_killed_worker_is_replaced_and_its_trial_is_run(drawn_examples, tmp_path):
    process = searches.start(drawn_examples, tmp_path / "search", trials=2)
    wait_until(lambda: list(tmp_path.glob("search/trial_0/history.csv")), process)
    worker, *_ = [pid for pid in processes_with("tuner.worker") if pid in processes_with(str(tmp_path))]
    os.kill(worker, signal.SIGKILL)
    output, _ = process.communicate()

    assert output.count(f'"{COMPLETED}"') == 2


@pytest.mark.slow
def test_a_worker_started_by_hand_joins_through_the_environment(drawn_examples, tmp_path, monkeypatch):
    [port] = free_ports(1)
    chief = {"KERASTUNER_ORACLE_IP": "127.0.0.1", "KERASTUNER_ORACLE_PORT": str(port)}
    for name, value in (chief | {"KERASTUNER_TUNER_ID": "chief"}).items():
        monkeypatch.setenv(name, value)
    search = searches.make(drawn_examples, tmp_path / "search", trials=2, workers=0)

    worker = searches.start_worker(search.folder.path, chief | {"KERASTUNER_TUNER_ID": "host2"})
    search.search()

    assert worker.wait(HANG_SECONDS) == 0, "it was told that there is no more to do"
    assert [(trial.state, trial.worker) for trial in search.results().trials] == [(COMPLETED, "host2")] * 2


def test_a_trial_whose_worker_is_gone_for_good_is_given_up(drawn_examples, tmp_path, monkeypatch):
    search = searches.make(drawn_examples, tmp_path / "search")
    trial = search.oracle.create_trial("host2")

    search._give_up_lost()
    assert search.oracle.ongoing_trials
    monkeypatch.setattr(search_module, "_LOST_AFTER", 0.0)
    search._give_up_lost()

    assert not search.oracle.ongoing_trials
    assert search.results().failures()[0].cause.startswith("its worker was lost: no word of it for")
    assert search.oracle.trials[trial.trial_id].status == "FAILED"


def test_a_worker_that_sees_no_search_says_so(tmp_path):
    chief = {"KERASTUNER_ORACLE_IP": "127.0.0.1", "KERASTUNER_ORACLE_PORT": "1", "KERASTUNER_TUNER_ID": "host2"}

    worker = searches.start_worker(tmp_path / "nothing", chief, stderr=subprocess.PIPE, text=True)

    told = worker.communicate(timeout=HANG_SECONDS)[1].splitlines()[-1]
    assert (worker.returncode, told) == (
        2,
        f"tuner.worker: {tmp_path}/nothing: no search was started there, or this host does not see it",
    )


def test_an_address_that_cannot_be_had_is_refused(drawn_examples, tmp_path, monkeypatch):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        for name, value in (("IP", "127.0.0.1"), ("PORT", str(port))):
            monkeypatch.setenv(f"KERASTUNER_ORACLE_{name}", value)
        monkeypatch.setenv("KERASTUNER_TUNER_ID", "chief")
        search = searches.make(drawn_examples, tmp_path / "search")

        with pytest.raises(ConfigError, match=f"cannot listen at 127.0.0.1:{port} for the workers"):
            search.search()


def test_a_worker_is_not_taken_for_the_chief(drawn_examples, tmp_path, monkeypatch):
    monkeypatch.setenv("KERASTUNER_ORACLE_IP", "127.0.0.1")
    monkeypatch.setenv("KERASTUNER_TUNER_ID", "host2")

    with pytest.raises(ConfigError, match=r"KERASTUNER_TUNER_ID must be chief for this command.*tuner.worker FOLDER"):
        searches.make(drawn_examples, tmp_path / "search")


@pytest.mark.slow
def test_a_search_ends_with_its_minutes(drawn_examples, tmp_path, monkeypatch):
    """The search's clock jumps past the limit when the first trial has ended, so the machine's speed does not count."""
    folder, minutes = tmp_path / "search", 100
    clock = SimpleNamespace(
        monotonic=lambda: time.monotonic() + 60 * minutes * bool(finished(folder)), sleep=time.sleep
    )
    monkeypatch.setattr(search_module, "time", clock)
    monkeypatch.setattr(search_module, "_LOST_AFTER", 2 * 60 * minutes)
    search = searches.make(
        drawn_examples, folder, trials=100, minutes=minutes, epochs=1, steps_per_epoch=2, early_stop=False
    )
    search.search()

    assert 1 <= len(search.results().trials) < 100 and search.results().leaderboard()


@pytest.mark.slow
def test_minutes_too_short_for_one_trial_are_refused_before_any(drawn_examples, tmp_path):
    search = searches.make(drawn_examples, tmp_path / "search", minutes=0.02, steps_per_epoch=500)

    with pytest.raises(ConfigError, match=r"tune.minutes=0.02 is too short for one trial, which takes about"):
        search.search()
    assert not list((tmp_path / "search").glob("trial_*"))


@pytest.mark.parametrize(
    "tune, sentence",
    [
        ({"objective": "val_accuracy"}, "tune.objective=val_accuracy is not recorded; .*val_top1"),
        ({"space": "searches.empty"}, "tune.space=searches.empty declares no hyperparameter"),
        ({"space": "searches.nowhere"}, "tune.space=searches.nowhere: cannot be imported"),
        ({"space": "searches.NO_FRIEND"}, "tune.space=searches.NO_FRIEND is no function"),
        ({"space": "nowhere"}, "tune.space=nowhere: cannot be imported"),
        ({"space": "searches.unknown"}, r"unknown key train\.learning_rat; did you mean train\.learning_rate"),
        ({"workers": 999}, r"tune.workers=999, but this machine has \d+ (cores|GPUs)"),
    ],
)
def test_what_cannot_be_searched_is_refused(tune, sentence, drawn_examples, tmp_path):
    with pytest.raises(ConfigError, match=sentence):
        searches.make(drawn_examples, tmp_path / "search", **tune)
    assert not (tmp_path / "search").exists()


@pytest.mark.slow
def test_a_hopeless_trial_is_ended_early_and_ranks_behind_the_others(drawn_examples, tmp_path):
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

    trials = {trial.values["train.learning_rate"]: trial for trial in search.results().trials}
    ended = trials.pop(1e-12)
    assert ended.state == STOPPED and 2 <= ended.epochs < 4
    assert ended.cause.startswith(f"stopped after {ended.epochs} of 4 epochs: its best val_loss")
    assert [(trial.state, trial.epochs) for trial in trials.values()] == [(COMPLETED, 4)] * 3


@pytest.mark.slow
def test_the_objective_may_be_one_that_should_be_low(drawn_examples, tmp_path):
    search = searches.make(drawn_examples, tmp_path / "search", objective="val_loss", early_stop=False)
    search.search()

    first, second = search.results().leaderboard()
    assert first.score < second.score and first.score == first.curve[-1]["val_loss"]
    assert search.get_best_hyperparameters()[0].values == first.values


@pytest.mark.slow
def test_the_memory_of_the_search_does_not_grow_with_its_trials(drawn_examples, tmp_path):
    """Fifty trials: at their end, the process that searches has needed no tenth more than after five."""
    process = searches.start(drawn_examples, tmp_path / "search", trials=50, epochs=1, steps_per_epoch=1, workers=2)
    wait_until(lambda: len(finished(tmp_path / "search")) >= 5, process)
    early = late = peak_memory(process.pid)
    while process.poll() is None:
        late = peak_memory(process.pid) or late
        time.sleep(0.2)

    assert process.communicate()[0].count(f'"{COMPLETED}"') == 50
    assert late < 1.1 * early


def peak_memory(pid):
    """Returns the most memory that the process has had, in KiB; 0 when it has just ended."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith("VmHWM")), 0)
