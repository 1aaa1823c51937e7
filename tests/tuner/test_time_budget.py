import time
from types import SimpleNamespace

import pytest
import searches

from shiftvit.errors import ConfigError
from tuner import search as search_module


@pytest.mark.slow
def test_a_search_ends_when_its_minutes_are_over(drawn_examples, tmp_path, monkeypatch):
    """The clock jumps past the limit when the first trial has ended, whatever the speed of the machine."""
    folder, minutes = tmp_path / "search", 100
    clock = SimpleNamespace(
        monotonic=lambda: time.monotonic() + 60 * minutes * bool(searches.finished(folder)), sleep=time.sleep
    )
    monkeypatch.setattr(search_module, "time", clock)
    monkeypatch.setattr(search_module, "_LOST_SECONDS", 2 * 60 * minutes)
    search = searches.make(
        drawn_examples, folder, trials=100, minutes=minutes, epochs=1, steps_per_epoch=2, early_stop=False
    )
    search.search()

    assert 1 <= len(search.results().trials) < 100 and search.results().leaderboard()


@pytest.mark.slow
def test_too_few_minutes_for_one_trial_are_refused(drawn_examples, tmp_path):
    search = searches.make(drawn_examples, tmp_path / "search", minutes=0.02, steps_per_epoch=500)

    with pytest.raises(ConfigError, match=r"tune.minutes=0.02 is too short for one trial, which takes about"):
        search.search()
    assert not list((tmp_path / "search").glob("trial_*"))
