"""The table that `shiftvit runs` prints: its columns, and sorting by them. Imports nothing heavy."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from charts.formats import duration, percent
from pipeline.cli.output import print_table
from shiftvit.metrics import MACRO_F1, TITLES, TOP1, TOP5

if TYPE_CHECKING:
    from pipeline.runs.run import Run


@dataclass(frozen=True)
class _Column:
    value: "Callable[[Run], Any]"  # None if the run has none
    write: Callable[[Any], str] = str
    sortable: bool = True


def _version(run: "Run") -> int | None:
    return int(run.result.pushed_version) if run.result and run.result.pushed_version else None


_COLUMNS = {
    "run": _Column(lambda run: run.folder.id),
    "preset": _Column(lambda run: run.config.get("preset")),
    "source": _Column(lambda run: run.config.get("source")),
    "state": _Column(lambda run: run.state),
    "components": _Column(lambda run: run.describe_components(), sortable=False),
    TITLES[TOP1]: _Column(lambda run: run.metrics.get(TOP1), percent),
    TITLES[TOP5]: _Column(lambda run: run.metrics.get(TOP5), percent),
    TITLES[MACRO_F1]: _Column(lambda run: run.metrics.get(MACRO_F1), percent),
    "version": _Column(_version),
    "time": _Column(lambda run: run.seconds, duration),
}
SORTABLE = tuple(title for title, column in _COLUMNS.items() if column.sortable)


def sort(runs: "Iterable[Run]", title: str, reverse: bool = False) -> "list[Run]":
    """Returns the runs in the order of a column, ascending unless `reverse`; runs without a value come last."""
    values = [(_COLUMNS[title].value(run), run) for run in runs]
    known = [(value, run) for value, run in values if value is not None]
    ordered = sorted(known, key=lambda pair: pair[0], reverse=reverse)
    return [run for _, run in ordered] + [run for value, run in values if value is None]


def print_runs(runs: "Sequence[Run]") -> None:
    """Prints a row per run."""
    if not runs:
        print("There are no runs yet; start one with `shiftvit run`.")
        return
    has_top5 = any(TOP5 in run.metrics for run in runs)
    shown = {title: column for title, column in _COLUMNS.items() if has_top5 or title != TITLES[TOP5]}
    print_table(shown, ([_cell(column, run) for column in shown.values()] for run in runs))


def _cell(column: _Column, run: "Run") -> str:
    value = column.value(run)
    return "" if value is None else column.write(value)
