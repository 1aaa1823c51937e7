"""The parts of the report on the search and on the training."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from charts import line_chart
from charts.formats import percent, significant
from charts.line_chart import Axes, Series
from charts.markup import element, escape, note, scrollable, section, table
from pipeline.reports.run.facts import Facts
from pipeline.runs.search import SearchSummary, describe_search
from tuner import results
from tuner.report import plots

History = Sequence[Mapping[str, float]]


def render_search(facts: Facts) -> str:
    """Returns the section on the search; nothing where the run had none."""
    if not facts["search"]:
        return ""
    summary = SearchSummary.from_dict(facts["search"])
    search = results.read(Path(summary.report).with_name(results.RESULTS_FILE))
    curves, settings = plots.learning_curves(search), plots.parallel_coordinates(search)
    return section(
        "Search",
        element("p", escape(describe_search(summary))),
        scrollable("Learning curves of the trials", curves) if curves else "",
        scrollable("Settings of the trials", settings) if settings else "",
        id="search",
    )


def render_training(facts: Facts) -> str:
    """Returns the section on the training."""
    history = facts["history"]
    if not history:
        return section("Training", note("No training of this run has left a history."), id="training")
    return section(
        "Training",
        _chart("Loss", history, {"training": "loss", "eval split": "val_loss"}, significant),
        _chart("Top-1", history, {"training": "top1", "eval split": "val_top1"}, percent),
        _chart("Learning rate after each epoch", history, {"": "learning_rate"}, significant),
        element("details", element("summary", "The same in figures"), _table(history)),
        note(
            "Training figures are means over the epoch, of augmented images; those of the eval split are taken after "
            "the epoch."
        ),
        id="training",
    )


def _chart(title: str, history: History, columns: Mapping[str, str], write: Callable[[float], str]) -> str:
    kinds = ("best", "first") if len(columns) == 1 else ("first", "best")
    series = [
        Series(f"{name} {title}".strip(), points, f"{name} {write(points[-1][1])}".strip(), kind)
        for (name, column), kind in zip(columns.items(), kinds, strict=False)
        if (points := [(row["epoch"], row[column]) for row in history if column in row])
    ]
    if not series:
        return ""
    axes = Axes("epoch", title, write, x_min=1)
    drawn = line_chart.draw(series, axes, f"{title} by epoch; the table below has the figures")
    return element("h3", title) + scrollable(title, drawn)


def _table(history: History) -> str:
    names = [name for name in history[-1] if name != "epoch"]
    rows = [[str(row["epoch"]), *(significant(row[name]) if name in row else "" for name in names)] for row in history]
    return table("Each epoch", ["epoch", *map(escape, names)], rows)
