"""The comparison of runs as one HTML page, which needs nothing beside itself."""

from collections.abc import Callable, Mapping

from charts import line_chart
from charts.formats import duration, percent, significant
from charts.line_chart import Axes, Series
from charts.markup import breakable, element, escape, note, page, scrollable, section, table
from pipeline.reports.comparison.facts import Facts, quality, sentences


def render(facts: Facts) -> str:
    """Returns the comparison as an HTML document."""
    runs = facts["runs"]
    title = f"{len(runs)} runs compared"
    told = "".join(element("p", escape(sentence)) for sentence in sentences(facts))
    heading = element("header", element("h1", title), told)
    return page(title, "\n".join([heading, _settings(facts), _quality(facts), _curves(facts)]))


def _headings(facts: Facts, first: str) -> list[str]:
    return [first, *(escape(run["id"]) for run in facts["runs"])]


def _settings(facts: Facts) -> str:
    heading = "What differs"
    if not facts["settings"]:
        return section(heading, note("No setting differs."))
    rows = [
        [breakable(name), *(escape("none" if value is None else significant(value)) for value in values)]
        for name, values in facts["settings"].items()
    ]
    return section(heading, table("Settings that differ", _headings(facts, "setting"), rows))


def _quality(facts: Facts) -> str:
    times = [duration(run["seconds"]) for run in facts["runs"]]
    states = [run["state"] for run in facts["runs"]]
    told = quality(facts) | {"state": states, "time": times}
    rows = [[escape(name), *map(escape, values)] for name, values in told.items()]
    return section("What that did", table("Measured on the test split", _headings(facts, "measure"), rows))


def _curves(facts: Facts) -> str:
    drawn = [_chart(facts, "val_top1", percent), _chart(facts, "val_loss", significant)]
    return section("Learning curves", *(drawn if any(drawn) else [note("No run has left a history.")]))


def _chart(facts: Facts, column: str, write: Callable[[float], str]) -> str:
    """Returns the curves over each other, those of the first run emphasised."""
    curves = {run["id"]: points for run in facts["runs"] if (points := _points(run, column))}
    if not curves:
        return ""
    first = facts["runs"][0]["id"]
    series = [
        Series(run, points, f"{run}: {write(points[-1][1])}", "first" if run == first else "")
        for run, points in curves.items()
    ]
    label = f"{column} by epoch of {len(series)} runs"
    return scrollable(label, line_chart.draw(series, Axes("epoch", column, write, x_min=1), label))


def _points(run: Mapping, column: str) -> list[tuple[float, float]]:
    return [(row["epoch"], row[column]) for row in run["history"] if column in row]
