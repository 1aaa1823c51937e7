"""A chart of lines over a horizontal axis, each with its name at its end."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from charts import axis, svg
from charts.markup import element
from charts.svg import LETTER, LINE, Point

_TOP, _BOTTOM, _LEFT, _RIGHT = 24.0, 344.0, 70.0, 620.0  # of the frame


@dataclass(frozen=True)
class Series:
    """A line: one point at least, from left to right."""

    title: str  # all there is to it, shown where the pointer is
    points: Sequence[Point]
    label: str = ""  # at its end
    kind: str = ""  # how it looks: `first`, `best`, or as one of many
    framed: bool = True  # the frame holds it; otherwise it runs along the edge where it leaves that
    dotted: bool = False  # a dot at every point, not at the last alone


@dataclass(frozen=True)
class Axes:
    """What the two axes say."""

    across: str
    up: str
    write: Callable[[float], str]  # a value of the upright axis
    marks: Callable[[float, float], Sequence[float]] = axis.whole_steps  # of the horizontal one, from low to high
    write_mark: Callable[[float], str] = "{:.0f}".format
    first: float | None = None  # where the horizontal axis begins; by default with the first point
    last: float | None = None  # and where it ends, unless a point lies beyond


def draw(series: Sequence[Series], axes: Axes, label: str) -> str:
    """Returns the drawing of one series at least; later ones lie over earlier ones.

    label: says what is drawn, to who does not see it.
    """
    framed = [s for s in series if s.framed] or series
    values = [value for s in framed for _, value in s.points]
    low, high = min(values), max(values)
    across = [x for s in series for x, _ in s.points]
    first = min(across) if axes.first is None else axes.first
    last = max(*across, first if axes.last is None else axes.last)

    def place(point: Point) -> Point:
        height = min(max(axis.between(low, point[1], high), 0), 1)
        return _LEFT + (_RIGHT - _LEFT) * axis.between(first, point[0], last), _BOTTOM - (_BOTTOM - _TOP) * height

    labelled = [s for s in series if s.label]
    return svg.drawing(
        _RIGHT + 46 + 1.1 * LETTER * max((len(s.label) for s in labelled), default=0),
        _BOTTOM + 48,
        label,
        svg.text(_LEFT - 8, _TOP - 16, axes.up, "quiet"),
        *(_level(place((first, value))[1], axes.write(value)) for value in axis.round_steps(low, high)),
        *(
            svg.text(place((x, low))[0], _BOTTOM + 16, axes.write_mark(x), "quiet", "middle")
            for x in axes.marks(first, last)
        ),
        svg.text((_LEFT + _RIGHT) / 2, _BOTTOM + 36, axes.across, "quiet", "middle"),
        element("g", *(_strand(s, [place(point) for point in s.points]) for s in series), class_="strands"),
        _end_labels(labelled, [place(s.points[-1]) for s in labelled]),
    )


def _level(y: float, words: str) -> str:
    return svg.line([(_LEFT, y), (_RIGHT, y)], "rule") + svg.text(_LEFT - 8, y, words, "quiet", "end")


def _strand(series: Series, points: Sequence[Point]) -> str:
    radius = 4 if series.kind else 2.5
    dots = "".join(svg.dot(point, radius) for point in (points if series.dotted else points[-1:]))
    return svg.strand(series.title, points, dots, series.kind)


def _end_labels(labelled: Sequence[Series], ends: Sequence[Point]) -> str:
    x, heights = _RIGHT + 26, svg.spread([y for _, y in ends], LINE)
    return "".join(
        svg.line([(end[0] + 6, end[1]), (x - 4, height)], "lead") + svg.text(x, height, series.label, series.kind)
        for series, end, height in zip(labelled, ends, heights, strict=True)
    )
