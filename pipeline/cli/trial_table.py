"""The trials of a search on the terminal: a table as low as its window, or a line for each that ends.

Both read the event that `shiftvit.progress.report_trials` makes. Imports no TensorFlow.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from rich.text import Text

from charts.formats import count, duration, grouped, significant
from pipeline.runs.events import Event
from tuner.results import COMPLETED, FAILED, RUNNING, STOPPED

Trial = Mapping[str, Any]

_HEADINGS = ("trial", "state", "score", "epoch", "time")
_INDENT = "   "
_LEAST_ROOM = 3  # lines: headings, a trial, and how many more there are
_HEADING_STYLE = "dim"
_STYLES = {RUNNING: "bold", COMPLETED: "", STOPPED: "yellow", FAILED: "red"}


def table(event: Event, room: int, ascii_only: bool) -> list[Text]:
    """Returns `room` lines at most: headings, running trials, the best that ended, and the newest that failed."""
    if room < _LEAST_ROOM or not event["trials"]:
        return []
    shown, more = _choose(event, room - 1)
    first = event["trials"][0]
    rows = [((*_HEADINGS, f"differs from {first['id']} in"), _HEADING_STYLE)]
    rows += [(_cells(trial, first), _STYLES[trial["state"]]) for trial in shown]
    # The last cell of a row, which may be that of its cause, has what is left of the line.
    widths = [max(len(cells[i]) for cells, _ in rows if len(cells) > i + 1) for i in range(len(_HEADINGS))]
    lines = [_line(cells, widths, style, ascii_only) for cells, style in rows]
    return [*lines, _line((f"and {more} more",), (), _HEADING_STYLE, ascii_only)] if more else lines


class EndedTrials:
    """Knows which trials were told to have ended, so that each is told once."""

    def __init__(self):
        self._told: set[tuple[str, str]] = set()

    def describe_new(self, event: Event) -> list[str]:
        """Returns a sentence for each trial that has ended since the last event."""
        ended = {(trial["id"], trial["state"]): trial for trial in event["trials"] if trial["state"] != RUNNING}
        new = [trial for key, trial in ended.items() if key not in self._told]
        self._told.update(ended)
        return [_describe(trial, _ranked(event)) for trial in new]


def _choose(event: Event, room: int) -> tuple[list[Trial], int]:
    """Returns the trials to be shown on `room` lines, and how many others there are, to be told on the last one."""
    every = event["trials"]
    room -= len(every) > room
    running = [trial for trial in every if trial["state"] == RUNNING][:room]
    room -= len(running)
    ended, failed = _ranked(event), [trial for trial in every if trial["state"] == FAILED]
    failures = min(len(failed), max(room // 3, room - len(ended)))
    shown = [*running, *ended[: room - failures], *failed[len(failed) - failures :]]
    return shown, len(every) - len(shown)


def _ranked(event: Event) -> list[Trial]:
    """Returns the trials that ended and did not fail, best first; of equals, the one that started first."""
    sign = -1 if event["greater_is_better"] else 1
    ended = [trial for trial in event["trials"] if trial["state"] in (COMPLETED, STOPPED)]
    return sorted(ended, key=lambda t: float("inf") if t["score"] is None else sign * t["score"])


def _cells(trial: Trial, first: Trial) -> tuple[str, ...]:
    if trial["state"] == FAILED:
        return (trial["id"], FAILED, _one_sentence(trial["cause"]))
    score = "" if trial["score"] is None else _score(trial)
    epochs = f"{grouped(trial['epochs'])}/{trial['of']}"
    return (trial["id"], trial["state"], score, epochs, duration(trial["seconds"]), _settings(trial, first))


def _settings(trial: Trial, first: Trial) -> str:
    """Returns the values that differ from the first trial's, or all values of the first; the names without groups."""
    values, others = trial["values"], {} if trial is first else first["values"]
    told = {name: value for name, value in values.items() if name not in others or others[name] != value}
    told |= {name: "off" for name in others if name not in values}  # another hyperparameter has switched it off
    return " ".join(f"{name.rpartition('.')[2]}={significant(value, 3)}" for name, value in told.items())


def _line(cells: Sequence[str], widths: Sequence[int], style: str, ascii_only: bool) -> Text:
    *others, last = cells
    columns = zip((str.ljust, str.ljust, str.rjust, str.rjust, str.rjust), others, widths, strict=False)
    text = " ".join([*(justify(cell, width) for justify, cell, width in columns), last])
    return Text(_INDENT + text, style, no_wrap=True, overflow="crop" if ascii_only else "ellipsis")


def _describe(trial: Trial, ranked: Sequence[Trial]) -> str:
    """Returns for example `trial 03 completed, score 0.5123 after 5 epochs in 1:02 (the best so far)`."""
    told, cause = f"trial {trial['id']} {trial['state']}", _one_sentence(trial["cause"])
    because = f": {cause}" if cause else ""
    if trial["state"] == FAILED or trial["score"] is None:
        return told + because
    best = ranked[0]
    standing = "the best so far" if best is trial else f"best so far {_score(best)}, trial {best['id']}"
    epochs, time = count(trial["epochs"], "epoch"), duration(trial["seconds"])
    return f"{told}, score {_score(trial)} after {epochs} in {time}{because} ({standing})"


def _score(trial: Trial) -> str:
    return f"{trial['score']:.4f}"


def _one_sentence(cause: str | None) -> str:
    return " ".join((cause or "").split())
