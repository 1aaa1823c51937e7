import io
import json
import logging

import pytest
from rich.console import Console, Group
from trial_events import trial, trials

from pipeline.cli.trial_table import EndedTrials, table
from shiftvit import progress


def lines(event, room=30, width=100, ascii_only=False):
    """Returns the table as text, without what is blank at the end of a line."""
    console = Console(file=io.StringIO(), width=width, color_system=None)
    console.print(Group(*table(event, room, ascii_only)))
    return [line.rstrip() for line in console.file.getvalue().splitlines()]


def ids(event, **options):
    """Returns the first word of each line below the headings."""
    return [line.split()[0] for line in lines(event, **options)[1:]]


def test_running_trials_come_first_then_the_best_that_ended_then_those_that_failed():
    event = trials(
        trial(0, score=0.5),
        trial(1, "failed", cause="out of memory"),
        trial(2, "stopped", 0.7),
        trial(3, score=0.6),
        trial(4, "running", 0.9),
        trial(5, "failed", cause="diverged"),
        trial(6, "running"),
    )

    assert ids(event) == ["04", "06", "02", "03", "00", "01", "05"]


def test_trials_are_ranked_by_the_objective_and_equal_ones_by_their_start():
    ended = [trial(0, score=2.0), trial(1, score=1.0), trial(2, score=2.0), trial(3, "stopped")]

    assert ids(trials(*ended, greater_is_better=False)) == ["01", "00", "02", "03"]
    assert ids(trials(*ended)) == ["00", "02", "01", "03"]


def test_a_row_shows_state_score_epoch_time_and_the_differences_from_the_first_trial():
    first = {"train.learning_rate": 0.002, "model.drop_path": 0.1, "data.mixup": 0.25}
    other = {"train.learning_rate": 0.00123456, "data.mixup": 0.25, "data.randaugment_ops": 2, "model.dims": "8,16"}

    event = trials(trial(0, score=0.5, values=first), trial(1, "running", epochs=3.24, seconds=3725, values=other))

    assert lines(event, width=120) == [
        "   trial state      score epoch    time differs from 00 in",
        "   01    running          3.2/5 1:02:05 learning_rate=0.00123 randaugment_ops=2 dims=8,16 drop_path=off",
        "   00    completed 0.5000   5/5    1:02 learning_rate=0.002 drop_path=0.1 mixup=0.25",
    ]


def test_a_failed_trial_takes_one_line_with_its_cause():
    event = trials(trial(0, "failed", cause="ran out of memory\n  at [/] step 3" + " and so on" * 20))

    row = lines(event, width=60)[1:]

    assert len(row) == 1 and row[0].startswith("   00    failed ran out of memory at [/] step 3 and so on")
    assert row[0].endswith("…") and len(row[0]) <= 60


def test_without_room_for_all_the_newest_failures_stay_and_the_rest_is_counted():
    ended = [trial(number, score=number / 100) for number in range(10)]
    ended += [trial(number, "failed", cause="diverged") for number in range(10, 20)]

    shown = lines(trials(*ended, trial(20, "running"), trial(21, "running")), room=9)

    assert [line.split()[0] for line in shown[1:-1]] == ["20", "21", "09", "08", "07", "06", "19"]
    assert shown[-1].split() == ["and", "15", "more"] and len(shown) == 9


def test_failed_trials_fill_the_lines_that_others_leave():
    ended = [trial(0, score=0.5), *(trial(number, "failed", cause="diverged") for number in range(1, 9))]

    assert ids(trials(*ended), room=6) == ["00", "06", "07", "08", "and"]
    assert ids(trials(*ended), room=10) == [f"{number:02}" for number in range(9)]


@pytest.mark.parametrize("width", [40, 60, 100, 160])
@pytest.mark.parametrize("room", range(12))
def test_the_table_never_exceeds_its_window(room, width):
    values = {f"train.name_{number}": number for number in range(30)}
    states = ["running", "completed", "failed"] * 4

    shown = lines(
        trials(*(trial(n, state, cause="a cause " * 40, values=values) for n, state in enumerate(states))), room, width
    )

    assert len(shown) <= room and all(len(line) <= width for line in shown)
    assert not shown or any("running" in line for line in shown), "headings without a trial"


def test_sixty_columns_have_room_for_a_learning_rate():
    row = lines(trials(trial(0), trial(1, score=0.7, values={"train.learning_rate": 0.000817})), width=60)[1]

    assert row == "   01    completed 0.7000   5/5 1:02 learning_rate=0.000817…"


def test_an_ascii_terminal_gets_no_ellipsis():
    shown = lines(trials(trial(0, "failed", cause="x" * 300)), width=60, ascii_only=True)

    assert all(line.isascii() for line in shown) and len(shown) == 2


def test_a_trial_that_ended_is_described_once():
    ended = EndedTrials()
    running, done = trial(1, "running"), trial(1, score=0.5123)

    assert ended.describe_new(trials(running)) == []
    assert ended.describe_new(trials(done)) == [
        "trial 01 completed, score 0.5123 after 5 epochs in 1:02 (the best so far)"
    ]
    assert ended.describe_new(trials(done)) == []
    assert ended.describe_new(trials(done, trial(2, "stopped", 0.4, epochs=1, seconds=9, cause="worse than most"))) == [
        "trial 02 stopped, score 0.4000 after 1 epoch in 0:09: worse than most (best so far 0.5123, trial 01)"
    ]


def test_the_lowest_score_is_the_best_so_far_if_lower_is_better():
    event = trials(trial(0, score=1.5), trial(1, score=0.5), trial(2, "running", 0.1), greater_is_better=False)

    assert [sentence.partition("(")[2] for sentence in EndedTrials().describe_new(event)] == [
        "best so far 0.5000, trial 01)",
        "the best so far)",
    ]


def test_a_failed_trial_is_described_by_its_cause_alone():
    event = trials(trial(4, "failed", cause="training\ndiverged"), trial(5, "failed"), trial(6, "stopped", 0.5))

    assert EndedTrials().describe_new(event)[:2] == ["trial 04 failed: training diverged", "trial 05 failed"]


def test_report_trials_sends_an_event_of_plain_data():
    records, handler = [], logging.Handler()
    handler.emit = records.append
    running = trial(0, "running")
    progress.LOGGER.addHandler(handler)
    try:
        progress.report_trials([running, trial(1, "running"), trial(2)], greater_is_better=False)
        progress.report_trials([], greater_is_better=True)
    finally:
        progress.LOGGER.removeHandler(handler)
    event = getattr(records[0], progress.EVENT)

    assert json.loads(json.dumps(event)) == trials(running, trial(1, "running"), trial(2), greater_is_better=False)
    assert [record.getMessage() for record in records] == ["trials: 2 running, 1 completed", "trials: none yet"]
