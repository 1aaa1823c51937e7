import io

import pytest
from rich.console import Console

from pipeline.terminal import LiveDisplay, PlainDisplay, ProgressHandler, duration, print_table
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


def test_plain_lines_tell_each_change_of_state(clock):
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


def test_a_note_is_a_line_of_its_own_on_every_display(clock):
    note = {"event": "note", "message": "the head of 1000 classes was left out [sic]"}
    out = io.StringIO()

    with LiveDisplay(Console(file=out, force_terminal=True, width=60), clock) as display:
        display.show(note)

    assert plain_lines(clock, [(0, note)]) == [note["message"][:60]]
    assert note["message"] in out.getvalue()


def test_plan_that_comes_late_forgets_nothing(clock):
    screen = live_screen(
        clock, [(0, node("Source", "running")), (5, node("Source", "complete")), (5, plan("Source", "Trainer"))]
    )
    assert len(screen) == 2 and screen[0].startswith("✓") and "0:05" in screen[0]


def test_plain_progress_is_told_every_ten_seconds_and_at_the_end(clock):
    lines = plain_lines(
        clock,
        [
            (0, node("Trainer", "running")),
            *((second, train(second / 2, loss=1 / (1 + second))) for second in range(41)),
            (41, node("Trainer", "complete")),
        ],
    )
    told = [line for line in lines if " train " in line]
    assert len(told) == 5
    assert told[2] == "Trainer: train 10/20 epochs, 2 s/epoch, 0:20 left, loss 0.04762"
    assert told[-1] == "Trainer: train 20/20 epochs, 2 s/epoch, loss 0.02439"


def test_rate_starts_anew_with_each_trial(clock):
    lines = plain_lines(
        clock,
        [
            (0, node("Tuner", "running")),
            (0, train(0)),
            (20, train(10)),
            (400, train(0)),
            (410, train(1)),
            (420, train(20)),
        ],
    )
    assert lines[-2] == "Tuner: train 20/20 epochs, 1 epochs/s"


def test_what_ran_when_the_run_broke_off_is_interrupted(clock):
    assert plain_lines(clock, [(0, node("Trainer", "running")), (5, train(1))])[-1] == "Trainer: interrupted after 0:05"


def live_screen(clock, events, height=30, encoding="utf-8"):
    raw = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
    console = Console(file=raw, force_terminal=True, width=110, height=height, color_system=None, legacy_windows=False)
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


def test_live_screen_has_a_line_per_component_and_a_bar_under_the_running_one(clock):
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


def test_live_screen_is_ascii_where_the_terminal_is(clock):
    assert all(line.isascii() for line in live_screen(clock, RUNNING, encoding="ascii"))


def test_reports_of_this_process_become_progress_events():
    events = []
    handler = ProgressHandler(events.append)
    progress.LOGGER.addHandler(handler)
    try:
        progress.report("read", 1, 6, "batch")
    finally:
        progress.LOGGER.removeHandler(handler)
    assert events == [{"event": "progress", "stage": "read", "done": 1, "total": 6, "unit": "batch", "metrics": {}}]


@pytest.mark.parametrize(("seconds", "told"), [(None, "0:00"), (7.4, "0:07"), (750, "12:30"), (3725, "1:02:05")])
def test_duration(seconds, told):
    assert duration(seconds) == told


def test_table_into_a_pipe_cuts_nothing(capsys):
    print_table(("name", "place"), [("[bold]", "x" * 300)])
    assert "[bold]" in (shown := capsys.readouterr().out) and "x" * 300 in shown
