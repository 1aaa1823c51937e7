"""SVG drawings and the shapes in them; their colours come from the stylesheet in `charts.markup`."""

import math
from collections.abc import Sequence

from charts.markup import element, escape

LETTER_WIDTH = 6.8  # mean, in the units of the drawing
LINE_HEIGHT = 16.0  # of a line of text

Point = tuple[float, float]


def drawing(width: float, height: float, description: str, *content: str) -> str:
    """Returns an <svg> element that scales with the page within legible limits.

    Args:
        width: in the units that the content uses.
        height: in the same units.
        description: plain text for screen readers.
        *content: markup.
    """
    size = f"min-width: {0.85 * width:.0f}px; max-width: {1.25 * width:.0f}px"
    box = f"0 0 {width:.0f} {height:.0f}"
    return element("svg", *content, viewBox=box, role="img", aria_label=description, style=size)


def text(x: float, y: float, words: str, css_class: str = "", anchor: str = "start") -> str:
    """Returns plain text, vertically centred on `y`; `anchor` is start, middle or end."""
    return element("text", escape(words), x=f"{x:.1f}", y=f"{y + 4:.1f}", text_anchor=anchor, class_=css_class)


def line(points: Sequence[Point], css_class: str) -> str:
    """Returns a line through the points."""
    return element("path", d="M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in points), class_=css_class)


def dot(point: Point, radius: float) -> str:
    """Returns a filled circle."""
    return element("circle", cx=f"{point[0]:.1f}", cy=f"{point[1]:.1f}", r=radius)


def rectangle(x: float, y: float, width: float, height: float, **attributes: str) -> str:
    """Returns a rectangle with its top left corner at (x, y)."""
    return element("rect", x=f"{x:.1f}", y=f"{y:.1f}", width=f"{width:.1f}", height=f"{height:.1f}", **attributes)


def curve(tooltip: str, points: Sequence[Point], markers: str, css_class: str, **attributes: str) -> str:
    """Returns a line with a tooltip; a wider, invisible line under it makes it easy to hover over.

    Args:
        tooltip: plain text.
        points: from one end to the other.
        markers: markup of the dots on the line.
        css_class: beside the class "curve".
        **attributes: of the group that holds it all.
    """
    content = element("title", escape(tooltip)) + line(points, "hover-area") + line(points, "stroke") + markers
    return element("g", content, class_=f"curve {css_class}".strip(), **attributes)


def shorten(words: str, letters: int) -> str:
    """Cuts text to so many letters, the last of them an ellipsis.

    >>> shorten("learning_rate", 6)
    'learn…'
    """
    return words if len(words) <= letters else f"{words[: letters - 1]}…"


def spread(wanted: Sequence[float], gap: float) -> list[float]:
    """Moves heights down as far as needed to have at least `gap` between any two of them.

    >>> spread([10, 0, 1], gap=5)
    [10, 0, 5]
    """
    placed, last = [0.0] * len(wanted), -math.inf
    for index in sorted(range(len(wanted)), key=lambda index: wanted[index]):
        placed[index] = last = max(wanted[index], last + gap)
    return placed
