"""Line charts, with the label of each line at its end."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from charts import axis, svg
from charts.markup import element
from charts.svg import LETTER_WIDTH, LINE_HEIGHT, Point

_TOP, _BOTTOM, _LEFT, _RIGHT = 24.0, 344.0, 70.0, 620.0  # of the plot area


@dataclass(frozen=True)
class Series:
    """A line of one or more points, ordered by x."""

    tooltip: str
    points: Sequence[Point]
    label: str = ""  # at its end
    emphasis: str = ""  # "first" or "best" to stand out in that colour
    sets_range: bool = True  # the y axis covers it; otherwise it is clipped to the plot area
    markers: bool = False  # a dot at every point, not just at the last


@dataclass(frozen=True)
class Axes:
    """Titles, number formats and ticks of the two axes."""

    x_title: str
    y_title: str
    format_y: Callable[[float], str]
    x_ticks: Callable[[float, float], Sequence[float]] = axis.integer_ticks  # from the axis' two ends
    format_x: Callable[[float], str] = "{:.0f}".format
    x_min: float | None = None  # by default the first point
    x_max: float | None = None  # by default the last point; the axis always covers all points


def draw(series: Sequence[Series], axes: Axes, description: str) -> str:
    """Returns the chart as markup.

    Args:
        series: one or more; later ones cover earlier ones.
        axes: of the chart.
        description: plain text for screen readers.
    """
    values = [y for s in ([s for s in series if s.sets_range] or series) for _, y in s.points]
    low, high = min(values), max(values)
    xs = [x for s in series for x, _ in s.points]
    first = min(xs) if axes.x_min is None else axes.x_min
    last = max(*xs, first if axes.x_max is None else axes.x_max)

    def place(point: Point) -> Point:
        height = min(max(axis.position(low, point[1], high), 0), 1)
        return _LEFT + (_RIGHT - _LEFT) * axis.position(first, point[0], last), _BOTTOM - (_BOTTOM - _TOP) * height

    labelled = [s for s in series if s.label]
    return svg.drawing(
        _RIGHT + 46 + 1.1 * LETTER_WIDTH * max((len(s.label) for s in labelled), default=0),
        _BOTTOM + 48,
        description,
        svg.text(_LEFT - 8, _TOP - 16, axes.y_title, "quiet"),
        *(_grid_line(place((first, value))[1], axes.format_y(value)) for value in axis.ticks(low, high)),
        *(
            svg.text(place((x, low))[0], _BOTTOM + 16, axes.format_x(x), "quiet", "middle")
            for x in axes.x_ticks(first, last)
        ),
        svg.text((_LEFT + _RIGHT) / 2, _BOTTOM + 36, axes.x_title, "quiet", "middle"),
        element("g", *(_curve(s, [place(point) for point in s.points]) for s in series), class_="curves"),
        _end_labels(labelled, [place(s.points[-1]) for s in labelled]),
    )


def _grid_line(y: float, words: str) -> str:
    return svg.line([(_LEFT, y), (_RIGHT, y)], "rule") + svg.text(_LEFT - 8, y, words, "quiet", "end")


def _curve(series: Series, points: Sequence[Point]) -> str:
    radius = 4 if series.emphasis else 2.5
    markers = "".join(svg.dot(point, radius) for point in (points if series.markers else points[-1:]))
    return svg.curve(series.tooltip, points, markers, series.emphasis)


def _end_labels(labelled: Sequence[Series], ends: Sequence[Point]) -> str:
    x, heights = _RIGHT + 26, svg.spread([y for _, y in ends], LINE_HEIGHT)
    return "".join(
        svg.line([(end[0] + 6, end[1]), (x - 4, height)], "lead") + svg.text(x, height, series.label, series.emphasis)
        for series, end, height in zip(labelled, ends, heights, strict=True)
    )
