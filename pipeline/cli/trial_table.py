"""The trials of a search on the terminal: a table that fits its window, or a line for each trial that ends.

Both read the event of `shiftvit.progress.report_trials`. Imports no TensorFlow.
"""

from collections.abc import Sequence

from rich.text import Text

from charts.formats import count, duration, grouped, significant
from pipeline.runs.events import TrialsEvent
from shiftvit.progress import TrialStatus
from tuner.results import COMPLETED, FAILED, RUNNING, STOPPED

_HEADINGS = ("trial", "state", "score", "epoch", "time")
_INDENT = "   "
_MIN_ROOM = 3  # lines: the headings, one trial, and the number of trials left out
_HEADING_STYLE = "dim"
_STYLES = {RUNNING: "bold", COMPLETED: "", STOPPED: "yellow", FAILED: "red"}


def table(event: TrialsEvent, room: int, ascii_only: bool) -> list[Text]:
    """Returns at most `room` lines: headings, running trials, the best that ended, and the newest that failed."""
    trials = _read_trials(event)
    if room < _MIN_ROOM or not trials:
        return []
    shown, left_out = _choose(trials, event["greater_is_better"], room - 1)
    first = trials[0]
    headings: tuple[str, ...] = (*_HEADINGS, f"differs from {first.id} in")
    rows = [(headings, _HEADING_STYLE), *((_cells(trial, first), _STYLES[trial.state]) for trial in shown)]
    # The last cell of a row takes the rest of the line, also the cause of a failure, which spans several columns.
    widths = [max(len(cells[i]) for cells, _ in rows if len(cells) > i + 1) for i in range(len(_HEADINGS))]
    lines = [_line(cells, widths, style, ascii_only) for cells, style in rows]
    return [*lines, _line((f"and {left_out} more",), (), _HEADING_STYLE, ascii_only)] if left_out else lines


class EndedTrials:
    """Describes each trial once, when it has ended."""

    def __init__(self) -> None:
        self._described: set[tuple[str, str]] = set()

    def describe_new(self, event: TrialsEvent) -> list[str]:
        """Returns a sentence for each trial that has ended since the last event."""
        trials = _read_trials(event)
        ended = {(trial.id, trial.state): trial for trial in trials if trial.state != RUNNING}
        new = [trial for key, trial in ended.items() if key not in self._described]
        self._described.update(ended)
        return [_describe(trial, _rank(trials, event["greater_is_better"])) for trial in new]


def _read_trials(event: TrialsEvent) -> list[TrialStatus]:
    return [TrialStatus(**values) for values in event["trials"]]


def _choose(trials: Sequence[TrialStatus], greater_is_better: bool, room: int) -> tuple[list[TrialStatus], int]:
    """Returns the trials to show, and how many are left out; if any, one of the `room` lines is kept for that number.

    Up to a third of the lines that running trials leave go to failed ones, and more if too few others have ended.
    """
    room -= len(trials) > room
    running = [trial for trial in trials if trial.state == RUNNING][:room]
    room -= len(running)
    ranked, failed = _rank(trials, greater_is_better), [trial for trial in trials if trial.state == FAILED]
    failures = min(len(failed), max(room // 3, room - len(ranked)))
    shown = [*running, *ranked[: room - failures], *failed[len(failed) - failures :]]
    return shown, len(trials) - len(shown)


def _rank(trials: Sequence[TrialStatus], greater_is_better: bool) -> list[TrialStatus]:
    """Returns the trials that ended without failing, best first; equal ones in the order of their starts."""
    sign = -1 if greater_is_better else 1
    ended = [trial for trial in trials if trial.state in (COMPLETED, STOPPED)]
    return sorted(ended, key=lambda trial: float("inf") if trial.score is None else sign * trial.score)


def _cells(trial: TrialStatus, first: TrialStatus) -> tuple[str, ...]:
    if trial.state == FAILED:
        return (trial.id, FAILED, _one_line(trial.cause))
    epochs = f"{grouped(trial.epochs)}/{trial.total_epochs}"
    return (trial.id, trial.state, _score(trial), epochs, duration(trial.seconds), _settings(trial, first))


def _settings(trial: TrialStatus, first: TrialStatus) -> str:
    """Returns the values that differ from the first trial's, or all values of the first, by names without groups."""
    values, others = trial.values, {} if trial is first else first.values
    shown = {name: value for name, value in values.items() if name not in others or others[name] != value}
    shown |= {name: "off" for name in others if name not in values}  # another hyperparameter switched it off
    return " ".join(f"{name.rpartition('.')[2]}={significant(value, 3)}" for name, value in shown.items())


def _line(cells: Sequence[str], widths: Sequence[int], style: str, ascii_only: bool) -> Text:
    *others, last = cells
    columns = zip((str.ljust, str.ljust, str.rjust, str.rjust, str.rjust), others, widths, strict=False)
    text = " ".join([*(justify(cell, width) for justify, cell, width in columns), last])
    return Text(_INDENT + text, style, no_wrap=True, overflow="crop" if ascii_only else "ellipsis")


def _describe(trial: TrialStatus, ranked: Sequence[TrialStatus]) -> str:
    """Returns for example `trial 03 completed, score 0.5123 after 5 epochs in 1:02 (the best so far)`."""
    ending, cause = f"trial {trial.id} {trial.state}", _one_line(trial.cause)
    reason = f": {cause}" if cause else ""
    if trial.state == FAILED or trial.score is None:
        return ending + reason
    best = ranked[0]
    rank = "the best so far" if best is trial else f"best so far {_score(best)}, trial {best.id}"
    epochs, time = count(trial.epochs, "epoch"), duration(trial.seconds)
    return f"{ending}, score {_score(trial)} after {epochs} in {time}{reason} ({rank})"


def _score(trial: TrialStatus) -> str:
    return "" if trial.score is None else f"{trial.score:.4f}"


def _one_line(text: str | None) -> str:
    return " ".join((text or "").split())
