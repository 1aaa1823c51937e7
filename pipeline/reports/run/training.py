"""The section on the training: learning curves."""

from collections.abc import Callable, Mapping, Sequence

from charts import line_chart
from charts.formats import percent, significant
from charts.line_chart import Axes, Series
from charts.markup import element, escape, note, scrollable, section, table
from pipeline.reports.run.contents import ReportContents
from shiftvit.metrics import LOSS, TITLES, TOP1, of_eval

History = Sequence[Mapping[str, float]]


def render(contents: ReportContents) -> str:
    """Returns the section."""
    history = contents.history
    if not history:
        return section("Training", note("This run has no training history."), id="training")
    return section(
        "Training",
        _metric_chart(LOSS, history, significant),
        _metric_chart(TOP1, history, percent),
        _chart("Learning rate after each epoch", history, {"": "learning_rate"}, significant),
        element("details", element("summary", "Table of all epochs"), _table(history)),
        note(
            "Training figures are means over the epoch, measured on augmented images. Those of the eval split are "
            "measured after the epoch."
        ),
        id="training",
    )


def _metric_chart(metric: str, history: History, format_y: Callable[[float], str]) -> str:
    columns = {"training": metric, "eval split": of_eval(metric)}
    return _chart(TITLES[metric].capitalize(), history, columns, format_y)


def _chart(title: str, history: History, columns: Mapping[str, str], format_y: Callable[[float], str]) -> str:
    """Returns a line for each of the columns, which are keyed by the name of their line."""
    emphases = ("best", "first") if len(columns) == 1 else ("first", "best")
    series = [
        Series(f"{name} {title}".strip(), points, f"{name} {format_y(points[-1][1])}".strip(), emphasis)
        for (name, column), emphasis in zip(columns.items(), emphases, strict=False)
        if (points := [(row["epoch"], row[column]) for row in history if column in row])
    ]
    if not series:
        return ""
    axes = Axes("epoch", title, format_y, x_min=1)
    chart = line_chart.draw(series, axes, f"{title} by epoch; the table below has the figures")
    return element("h3", title) + scrollable(title, chart)


def _table(history: History) -> str:
    columns = [name for name in history[-1] if name != "epoch"]
    rows = [
        [str(row["epoch"]), *(significant(row[name]) if name in row else "" for name in columns)] for row in history
    ]
    return table("Metrics of each epoch", ["epoch", *map(escape, columns)], rows)
