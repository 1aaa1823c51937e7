"""The states of finished work."""

import os
import time

from shiftvit.files import lease, states


def make(folder, days, mark=True):
    folder.mkdir(parents=True)
    (folder / "state").write_text("weights")
    if mark:
        states.mark_finished(folder)
        then = time.time() - days * 86400
        os.utime(folder / ".shiftvit-finished", (then, then))
    return folder


def test_only_old_finished_states_without_a_user_are_pruned(tmp_path):
    old, new = make(tmp_path / "code/old", 8), make(tmp_path / "code/new", 6)
    unfinished, held = make(tmp_path / "code/unfinished", 8, mark=False), make(tmp_path / "held", 8)
    reopened = make(tmp_path / "code/reopened", 8)
    states.reopen(reopened)

    with lease.hold(held):
        states.prune(tmp_path)

    assert [path.exists() for path in (old, new, unfinished, held, reopened)] == [False, True, True, True, True]
    assert sorted(path.name for path in (tmp_path / "code").iterdir()) == ["new", "reopened", "unfinished"]


def test_finished_states_have_a_size_and_an_age(tmp_path):
    make(tmp_path / "code/state", 2)

    [state] = states.finished(tmp_path)

    assert state.bytes >= len("weights") and 2 * 86400 <= state.seconds < 3 * 86400
