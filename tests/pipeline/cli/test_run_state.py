"""Rates, amounts and the bar of a stage."""

import io

from rich.console import Console

from pipeline.cli.run_state import Stage
from pipeline.cli.terminal import LiveDisplay
from pipeline.runs.events import ProgressEvent


def _stage(*reports: tuple[float, float]) -> Stage:
    stage = Stage()
    for now, done in reports:
        event: ProgressEvent = {
            "event": "progress",
            "stage": "train",
            "done": done,
            "total": 4,
            "unit": "epochs",
            "metrics": {},
        }
        stage.update(now, event)
    return stage


def test_a_finished_stage_shows_its_mean_rate_and_a_running_one_the_recent_rate():
    slow_start = [(0, 0), (20, 1), (30, 2), (40, 3)]

    assert _stage(*slow_start).rate == 1 / 10
    assert _stage(*slow_start, (50, 4)).rate == 4 / 50


def test_a_stage_that_starts_again_is_measured_from_its_own_start():
    assert _stage((0, 0), (100, 3), (110, 0), (120, 4)).rate == 4 / 10


def test_nearly_whole_amounts_are_shown_without_a_decimal():
    assert _stage((0, 1.04)).describe().startswith("1/4 epochs")


def test_bar_without_colour_shows_its_whole_length():
    out = io.StringIO()
    display = LiveDisplay(Console(file=out, force_terminal=True, no_color=True, width=80))
    display.show({"event": "node", "node": "Trainer", "state": "running"})
    display.show({"event": "progress", "stage": "train", "done": 1, "total": 4, "unit": "epochs", "metrics": {}})

    Console(file=out, width=80).print(display._render())

    assert "━" * 4 + "·" * 12 in out.getvalue() or "-" * 4 + "." * 12 in out.getvalue()
