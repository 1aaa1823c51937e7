"""The comparison of runs as an HTML page, which needs no other file and no network."""

from collections.abc import Callable

from charts import line_chart
from charts.formats import duration, percent, significant
from charts.line_chart import Axes, Series
from charts.markup import breakable, element, escape, note, page, scrollable, section, table
from pipeline.reports.comparison.compare import Comparison
from shiftvit.metrics import LOSS, TITLES, TOP1, of_eval


def render(comparison: Comparison) -> str:
    """Returns the comparison as an HTML document."""
    title = f"Comparison of {len(comparison.runs)} runs"
    sentences = (element("p", escape(sentence)) for sentence in comparison.sentences())
    header = element("header", element("h1", title), *sentences)
    return page(title, "\n".join([header, _settings(comparison), _quality(comparison), _curves(comparison)]))


def _headings(comparison: Comparison, first: str) -> list[str]:
    return [first, *(escape(run.folder.id) for run in comparison.runs)]


def _settings(comparison: Comparison) -> str:
    heading = "Settings"
    if not comparison.settings:
        return section(heading, note("All settings are the same."))
    rows = [
        [breakable(name), *(escape(significant(value)) for value in values)]
        for name, values in comparison.settings.items()
    ]
    return section(heading, table("Settings that differ", _headings(comparison, "setting"), rows))


def _quality(comparison: Comparison) -> str:
    figures = comparison.quality() | {
        "state": [run.state for run in comparison.runs],
        "duration": [duration(run.seconds) for run in comparison.runs],
    }
    rows = [[escape(name), *map(escape, values)] for name, values in figures.items()]
    return section("Quality", table("Measured on the test split", _headings(comparison, "measure"), rows))


def _curves(comparison: Comparison) -> str:
    charts = [_chart(comparison, TOP1, percent), _chart(comparison, LOSS, significant)]
    return section("Learning curves", *(charts if any(charts) else [note("No run has a training history.")]))


def _chart(comparison: Comparison, metric: str, format_y: Callable[[float], str]) -> str:
    """Returns the curves of a metric on the eval split, that of the first run emphasised."""
    column = of_eval(metric)
    curves = {
        run.folder.id: points
        for run in comparison.runs
        if (points := [(row["epoch"], row[column]) for row in run.history if column in row])
    }
    if not curves:
        return ""
    first = comparison.runs[0].folder.id
    series = [
        Series(run_id, points, f"{run_id}: {format_y(points[-1][1])}", "first" if run_id == first else "")
        for run_id, points in curves.items()
    ]
    title = f"{TITLES[metric]} on the eval split"
    label = f"{title} by epoch, {len(series)} runs"
    return scrollable(label, line_chart.draw(series, Axes("epoch", title, format_y, x_min=1), label))
