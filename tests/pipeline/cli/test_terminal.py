import io

import pytest
from rich.console import Console
from trial_events import trial, trials

from pipeline.cli.output import print_table
from pipeline.cli.terminal import LiveDisplay, PlainDisplay
from pipeline.runs.events import ProgressHandler
from shiftvit import progress


class Clock:
    """A clock that the test sets."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock():
    return Clock()


def plan(*nodes):
    return {"event": "plan", "nodes": list(nodes)}


def node(name, state):
    return {"event": "node", "node": name, "state": state}


def train(done, total=20, **metrics):
    return {"event": "progress", "stage": "train", "done": done, "total": total, "unit": "epoch", "metrics": metrics}


def plain_lines(clock, timed_events):
    out = io.StringIO()
    with PlainDisplay(Console(file=out, width=40), clock) as display:
        for at, event in timed_events:
            clock.now = at
            display.show(event)
    return out.getvalue().splitlines()


def test_plain_lines_show_each_change_of_state(clock):
    assert plain_lines(
        clock,
        [
            (0, plan("Source", "Trainer")),
            (1, node("Source", "cached")),
            (1, node("Trainer", "running")),
            (76, node("Trainer", "complete")),
            (76, node("Canary", "running")),
            (80, node("Canary", "failed")),
        ],
    ) == [
        "Source: cached",
        "Trainer: running",
        "Trainer: complete after 1:15",
        "Canary: running",
        "Canary: failed after 0:04",
    ]


def test_note_is_a_line_on_both_displays(clock):
    note = {"event": "note", "message": "the head of 1000 classes was left out [sic]"}
    out = io.StringIO()

    with LiveDisplay(Console(file=out, force_terminal=True, width=60), clock) as display:
        display.show(note)

    assert plain_lines(clock, [(0, note)]) == [note["message"][:60]]
    assert note["message"] in out.getvalue()


def test_late_plan_keeps_the_components_so_far(clock):
    screen = live_screen(
        clock, [(0, node("Source", "running")), (5, node("Source", "complete")), (5, plan("Source", "Trainer"))]
    )
    assert len(screen) == 2 and screen[0].startswith("✓") and "0:05" in screen[0]


def test_plain_progress_is_printed_every_ten_seconds_and_at_the_end(clock):
    lines = plain_lines(
        clock,
        [
            (0, node("Trainer", "running")),
            *((second, train(second / 2, loss=1 / (1 + second))) for second in range(41)),
            (41, node("Trainer", "complete")),
        ],
    )
    printed = [line for line in lines if " train " in line]
    assert len(printed) == 5
    assert printed[2] == "Trainer: train 10/20 epochs, 2 s/epoch, 0:20 left, loss 0.04762"
    assert printed[-1] == "Trainer: train 20/20 epochs, 2 s/epoch, loss 0.02439"


def test_end_that_is_reported_repeatedly_is_printed_once(clock):
    lines = plain_lines(clock, [(0, node("Trainer", "running")), *((second, train(20)) for second in range(1, 60))])
    assert [line for line in lines if " train " in line] == ["Trainer: train 20/20 epochs"]


def test_rate_starts_again_with_each_trial(clock):
    lines = plain_lines(
        clock,
        [
            (0, node("Tuner", "running")),
            (0, train(0)),
            (20, train(10)),
            (400, train(0)),
            (410, train(10)),
            (420, train(20)),
        ],
    )
    assert lines[-2] == "Tuner: train 20/20 epochs, 1 epochs/s"


def test_rate_of_work_in_steps_is_an_average_over_minutes(clock):
    stepwise = [(second, train(second // 60)) for second in range(600)]
    lines = plain_lines(clock, [(0, node("Tuner", "running")), *stepwise, (600, train(10)), (630, train(10.1))])
    assert lines[-2] == "Tuner: train 10.1/20 epochs, 61.8 s/epoch, 10:11 left"


def test_finished_stage_shows_its_overall_mean_rate(clock):
    lines = plain_lines(
        clock, [(0, node("Trainer", "running")), (0, train(0)), *((100 + s, train(s / 10)) for s in range(0, 201, 10))]
    )
    assert lines[-2] == "Trainer: train 20/20 epochs, 15 s/epoch"


def test_component_that_ran_when_the_run_broke_off_is_interrupted(clock):
    assert plain_lines(clock, [(0, node("Trainer", "running")), (5, train(1))])[-1] == "Trainer: interrupted after 0:05"


def test_time_budget_has_no_rate(clock):
    spent = [{"event": "progress", "stage": "time", "done": m, "total": 30, "unit": "minute"} for m in (0, 6, 12)]
    lines = plain_lines(clock, [(0, node("Tuner", "running")), *((event["done"] * 60, event) for event in spent)])
    assert lines[-2] == "Tuner: time 12/30 minutes, 18:00 left"


def test_plain_lines_show_each_ended_trial_once(clock):
    first, second = trial(0, score=0.5), trial(1, "failed", cause="diverged")
    lines = plain_lines(
        clock,
        [
            (0, trials(first)),  # ignored: no component runs
            (0, node("Tuner", "running")),
            (1, trials(trial(0, "running"))),
            (2, trials(first, trial(1, "running"))),
            (3, trials(first, trial(1, "running"))),
            (4, trials(first, second)),
            (5, node("Tuner", "complete")),
        ],
    )
    assert lines == [
        "Tuner: running",
        "Tuner: trial 00 completed, score 0.5000 after 5 epochs in 1:02 (the best so far)",
        "Tuner: trial 01 failed: diverged",
        "Tuner: complete after 0:05",
    ]


def live_screen(clock, events, height=30, encoding="utf-8", width=110):
    raw = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
    console = Console(
        file=raw, force_terminal=True, width=width, height=height, color_system=None, legacy_windows=False
    )
    with LiveDisplay(console, clock) as display:
        for at, event in events:
            clock.now = at
            display.show(event)
        with console.capture() as captured:
            console.print(display._render())
    return captured.get().splitlines()


RUNNING = [
    (0, plan("Source", "Ingest", "Trainer", "Pusher")),
    (0, node("Source", "cached")),
    (0, node("Ingest", "running")),
    (9, node("Ingest", "complete")),
    (9, node("Trainer", "running")),
    (10, train(0)),
    (70, train(5, loss=0.5, val_top1=0.75)),
]


def test_live_screen_has_a_line_per_component_and_a_bar_below_the_running_one(clock):
    screen = live_screen(clock, RUNNING)
    assert len(screen) == 5
    assert screen[0].startswith("= ") and "Source" in screen[0] and "cached" in screen[0]
    assert screen[1].startswith("✓") and "0:09" in screen[1]
    assert "Trainer" in screen[2] and "1:01" in screen[2]
    assert "5/20 epochs, 12 s/epoch, 3:00 left, loss 0.5 val_top1 0.75" in screen[3] and "━" in screen[3]
    assert screen[4].startswith("·") and "Pusher" in screen[4]


def test_live_screen_keeps_the_running_component_in_a_low_window(clock):
    screen = live_screen(clock, RUNNING, height=4)
    assert len(screen) <= 3
    assert any("Trainer" in line for line in screen) and any("5/20 epochs" in line for line in screen)


def test_live_screen_is_ascii_on_an_ascii_terminal(clock):
    assert all(line.isascii() for line in live_screen(clock, RUNNING, encoding="ascii"))


SEARCHING = [
    (0, plan("Source", "Ingest", "Tuner", "Trainer", "Pusher")),
    (0, node("Source", "cached")),
    (0, node("Ingest", "cached")),
    (0, node("Tuner", "running")),
    (1, {"event": "progress", "stage": "tune", "done": 1.5, "total": 4, "unit": "trial"}),
    (1, trials(trial(0, score=0.5), *(trial(number, "running") for number in range(1, 20)))),
]


def names(screen):
    """Returns the first word of each line, without marks."""
    return [next(word for word in line.split() if word.isalnum()) for line in screen]


def test_live_screen_has_a_table_of_trials_below_the_tuner(clock):
    screen = live_screen(clock, SEARCHING)
    assert names(screen[:6]) == ["Source", "Ingest", "Tuner", "tune", "trial", "01"]
    assert names(screen[-3:]) == ["00", "Trainer", "Pusher"]
    assert not any("00" in line for line in live_screen(clock, [*SEARCHING, (9, node("Tuner", "complete"))]))


def test_table_of_trials_is_cut_to_fit_the_window(clock):
    screen = live_screen(clock, SEARCHING, height=20)
    assert len(screen) == 19
    assert names(screen) == [
        *("Source", "Ingest", "Tuner", "tune", "trial"),
        *(f"{number:02}" for number in range(1, 12)),
        *("and", "Trainer", "Pusher"),
    ]


def test_low_window_still_shows_some_trials(clock):
    assert names(live_screen(clock, SEARCHING, height=12)) == [
        *("Tuner", "tune", "trial", "01", "02", "03", "04", "05", "06", "and"),
        "Trainer",
    ]


@pytest.mark.parametrize("height", range(2, 25))
def test_live_screen_is_never_higher_than_its_window(clock, height):
    screen = live_screen(clock, SEARCHING, height)
    assert len(screen) <= max(1, height - 1)
    assert height < 5 or {"Tuner", "tune"} <= set(names(screen))


def test_bar_fits_into_a_narrow_window(clock):
    row = live_screen(clock, RUNNING, width=60)[3]
    assert "train " in row and "━" in row and "5/20 epochs, 12 s/epoch" in row


@pytest.mark.parametrize("encoding, cut", [("utf-8", "…"), ("ascii", "x")])
def test_long_text_is_cut_with_an_ellipsis_if_the_terminal_has_one(clock, encoding, cut):
    row = live_screen(clock, [*RUNNING, (71, train(6, **{"x" * 160: 0.5}))], encoding=encoding)[3]
    assert row.rstrip().endswith(cut)


def test_progress_reports_become_events():
    events = []
    handler = ProgressHandler(events.append)
    progress.LOGGER.addHandler(handler)
    try:
        progress.report("read", 1, 6, "batch")
        progress.report_trials([trial(0, "running")], greater_is_better=True)
    finally:
        progress.LOGGER.removeHandler(handler)
    assert events == [
        {"event": "progress", "stage": "read", "done": 1, "total": 6, "unit": "batch", "metrics": {}},
        trials(trial(0, "running")),
    ]


def test_table_in_a_pipe_has_full_cells(capsys):
    print_table(("name", "place"), [("[bold]", "x" * 300)])
    assert "[bold]" in (shown := capsys.readouterr().out) and "x" * 300 in shown
