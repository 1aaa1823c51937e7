"""Searches whose processes are killed."""

import os
import signal
import time

import pytest
import searches
from searches import finished, peak_memory, processes_with
from waiting import wait_until

from tuner import search as search_module
from tuner.results import COMPLETED


@pytest.mark.slow
def test_a_killed_search_keeps_finished_trials_and_runs_none_twice(drawn_examples, tmp_path):
    folder, written = tmp_path / "search", {}
    for ended in (1, 3):
        process = searches.start(drawn_examples, folder, trials=4, epochs=2)
        wait_until(lambda ended=ended: len(finished(folder)) >= ended, process)
        process.kill()
        process.communicate()
        wait_until(lambda: not processes_with(str(folder)))  # workers and trials end with the search
        written |= finished(folder)
    output, _ = searches.start(drawn_examples, folder, trials=4, epochs=2).communicate()

    assert '"trials": 4' in output
    after = finished(folder)
    assert len(after) == 4 and {name: after[name] for name in written} == written, "a finished trial ran again"


@pytest.mark.slow
def test_a_killed_worker_is_replaced_and_its_trial_runs_again(drawn_examples, tmp_path):
    process = searches.start(drawn_examples, tmp_path / "search", trials=2)
    wait_until(lambda: list(tmp_path.glob("search/trial_0/history.csv")), process)
    worker, *_ = processes_with("tuner.worker") & processes_with(str(tmp_path))
    os.kill(worker, signal.SIGKILL)
    output, _ = process.communicate()

    assert output.count(f'"{COMPLETED}"') == 2


def test_a_trial_whose_worker_is_gone_for_good_fails(drawn_examples, tmp_path, monkeypatch):
    search = searches.make(drawn_examples, tmp_path / "search")
    trial = search.oracle.create_trial("host2")

    search._fail_lost_trials()
    assert search.oracle.ongoing_trials
    monkeypatch.setattr(search_module, "_LOST_SECONDS", 0.0)
    search._fail_lost_trials()

    assert not search.oracle.ongoing_trials
    assert search.results().failures()[0].cause.startswith("its worker was lost: no progress for")
    assert search.oracle.trials[trial.trial_id].status == "FAILED"


@pytest.mark.slow
def test_the_memory_of_the_search_does_not_grow_with_its_trials(drawn_examples, tmp_path):
    """After 12 trials, the peak is less than a tenth above that after four."""
    process = searches.start(drawn_examples, tmp_path / "search", trials=12, epochs=1, steps_per_epoch=1, workers=2)
    wait_until(lambda: len(finished(tmp_path / "search")) >= 4, process)
    early = late = peak_memory(process.pid)
    while process.poll() is None:
        late = peak_memory(process.pid) or late
        time.sleep(0.2)

    assert process.communicate()[0].count(f'"{COMPLETED}"') == 12
    assert late < 1.1 * early
