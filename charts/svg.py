"""The strokes that charts are made of; their colours are those of the page, `tuner.markup`."""

import math
from collections.abc import Sequence

from charts.markup import element, escape

LETTER = 6.8  # mean width of a letter, in the units of the drawing
LINE = 16.0  # height of a line of text

Point = tuple[float, float]


def drawing(width: float, height: float, label: str, *content: str) -> str:
    """Returns the drawing: it shrinks and grows with the page as long as its words can be read."""
    size = f"min-width: {0.85 * width:.0f}px; max-width: {1.25 * width:.0f}px"
    box = f"0 0 {width:.0f} {height:.0f}"
    return element("svg", *content, viewBox=box, role="img", aria_label=label, style=size)


def text(x: float, y: float, words: str, kind: str = "", anchor: str = "start") -> str:
    """Returns the words, with the middle of their height at `y`."""
    return element("text", escape(words), x=f"{x:.1f}", y=f"{y + 4:.1f}", text_anchor=anchor, class_=kind)


def line(points: Sequence[Point], kind: str) -> str:
    """Returns a line through the points."""
    return element("path", d="M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in points), class_=kind)


def dot(point: Point, radius: float) -> str:
    """Returns a filled circle."""
    return element("circle", cx=f"{point[0]:.1f}", cy=f"{point[1]:.1f}", r=radius)


def box(x: float, y: float, width: float, height: float, **attributes: str) -> str:
    """Returns a rectangle."""
    return element("rect", x=f"{x:.1f}", y=f"{y:.1f}", width=f"{width:.1f}", height=f"{height:.1f}", **attributes)


def strand(title: str, points: Sequence[Point], dots: str, kind: str, **attributes: str) -> str:
    """Returns a line that the pointer finds from a little beside it, and then shows the title of."""
    shown = element("title", escape(title)) + line(points, "reach") + line(points, "seen") + dots
    return element("g", shown, class_=f"strand {kind}".strip(), **attributes)


def cut(words: str, letters: int) -> str:
    """Returns the words, or as many of their letters as there is room for."""
    return words if len(words) <= letters else f"{words[: letters - 1]}…"


def spread(wanted: Sequence[float], gap: float) -> list[float]:
    """Returns heights near the wanted ones, in their order, any two of them at least `gap` apart."""
    placed, last = [0.0] * len(wanted), -math.inf
    for index in sorted(range(len(wanted)), key=lambda index: wanted[index]):
        placed[index] = last = max(wanted[index], last + gap)
    return placed
