"""Charts of a search as SVG: learning curves, parallel coordinates of all settings, and bars."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from charts import axis, line_chart, svg
from charts.line_chart import Axes, Series
from charts.markup import element, escape
from charts.svg import LETTER_WIDTH, LINE_HEIGHT, Point
from tuner.report import scale, wording
from tuner.results import COMPLETED, Results, Trial

_SHADES = 7  # from the worst score to the best: --s0 to --s6 in the stylesheet
_MAX_NAME = 34  # letters; longer names are shortened
_MAX_TICK_LABEL = 13  # letters
_MAX_TICKS = 18  # per axis; more labels would overlap
_NAME_ANGLE = math.radians(30)  # of axis names, so that long ones do not overlap
_TOP = 24.0  # above the plot area
_PLOT_HEIGHT = 300.0
_AXIS_GAP = 98.0  # between two parallel axes
_OFF_DEPTH = 26.0  # below the axes: the height of hyperparameters that are switched off


def learning_curves(results: Results) -> str:
    """Draws the objective of each trial by epoch, best and first trial emphasised; "" if no epoch is finished.

    The y axis covers the trials that have a score, so that a diverged trial does not flatten the others.
    """
    objective, series = results.objective, []
    for trial in _drawing_order(results):
        if points := _points(trial, objective):
            role, tooltip = _role(results, trial), wording.trial(results, trial)
            label = f"{role}: trial {trial.id}, {wording.score(objective, trial.score)}" if role else ""
            scored = trial.score is not None
            series.append(Series(tooltip, points, label, role.split(" ")[0], sets_range=scored))
    if not series:
        return ""
    axes = Axes("epoch", objective, lambda y: wording.score(objective, y), x_min=1, x_max=results.epochs)
    return line_chart.draw(series, axes, f"{objective} by epoch of {len(series)} trials")


def _points(trial: Trial, objective: str) -> list[Point]:
    rows = [(row["epoch"], row.get(objective, math.nan)) for row in trial.curve]
    return [(epoch, value) for epoch, value in rows if math.isfinite(value)]


def _drawing_order(results: Results) -> list[Trial]:
    """Returns the trials from the bottom layer to the top: without a score, worst to best, the first, the best."""
    ranked = results.leaderboard()[::-1]
    order = [trial for trial in results.trials if trial.score is None] + ranked
    return sorted(order, key=lambda trial: (trial in ranked[-1:], trial is results.trials[0]))


def _is_best(results: Results, trial: Trial) -> bool:
    return trial in results.leaderboard()[:1]


def _role(results: Results, trial: Trial) -> str:
    """Returns `best`, `first`, `best and first` or an empty string."""
    roles = {"best": _is_best(results, trial), "first": trial is results.trials[0]}
    return " and ".join(role for role, applies in roles.items() if applies)


@dataclass(frozen=True)
class _ParallelAxes:
    """Vertical axes side by side: one per hyperparameter, then that of the score."""

    names: Sequence[str]
    ticks: Sequence[Sequence[scale.Tick]]
    top: float

    @property
    def bottom(self) -> float:
        return self.top + _PLOT_HEIGHT

    @property
    def xs(self) -> list[float]:
        return [40.0 + _AXIS_GAP * index for index in range(len(self.names))]

    @property
    def right(self) -> float:
        """Returns the right end of the names."""
        width = LETTER_WIDTH * math.cos(_NAME_ANGLE)
        return max(x + len(name) * width for x, name in zip(self.xs, self.names, strict=True))

    def y(self, position: float | None) -> float:
        """Returns the y coordinate of a position from 0 to 1; None, for switched off, is below the axes."""
        return self.bottom + _OFF_DEPTH if position is None else self.bottom - _PLOT_HEIGHT * position

    def draw(self) -> str:
        rules = "".join(svg.line([(x, self.top), (x, self.bottom)], "rule") for x in self.xs)
        return rules + "".join(map(self._draw_labels, self.xs, self.names, self.ticks))

    def _draw_labels(self, x: float, name: str, ticks: Sequence[scale.Tick]) -> str:
        shown = ticks[:: math.ceil(len(ticks) / _MAX_TICKS)]
        labels = "".join(svg.text(x + 8, self.y(y), svg.shorten(label, _MAX_TICK_LABEL)) for y, label in shown)
        transform = f"translate({x} {self.top - 14:.1f}) rotate({-math.degrees(_NAME_ANGLE):.0f})"
        return labels + element("text", escape(name), transform=transform)


def parallel_coordinates(results: Results) -> str:
    """Draws each scored trial as a line across the axes of its hyperparameters and score; "" if there is none."""
    trials = [trial for trial in _drawing_order(results) if trial.score is not None]
    if not trials:
        return ""
    space, scores = scale.space(results), [trial.score for trial in trials if trial.score is not None]
    low, high = min(scores), max(scores)
    axes = _make_axes(results, low, high)
    positions = [
        [scale.position(d, trial.values[d.name]) if d.name in trial.values else None for d in space]
        + [axis.position(low, score, high)]
        for trial, score in zip(trials, scores, strict=True)
    ]
    lines = [_draw_trial(results, trial, row, axes) for trial, row in zip(trials, positions, strict=True)]
    label, x = f"best: trial {trials[-1].id}", axes.xs[-1]
    return svg.drawing(
        max(axes.right, x + 90 + 1.1 * LETTER_WIDTH * len(label)),
        axes.bottom + 44,
        f"{len(trials)} trials, each a line across {len(space)} hyperparameters to its {results.objective}",
        svg.text(32, axes.y(None), "off", "quiet", "end") if any(None in row for row in positions) else "",
        element("g", *lines, class_="curves"),
        _draw_legend(x, axes.y(None)),
        axes.draw(),
        svg.text(x + 84, axes.y(positions[-1][-1]), label, "strong"),
    )


def _make_axes(results: Results, low: float, high: float) -> _ParallelAxes:
    """Returns the axes for scores from `low` to `high`."""
    space = scale.space(results)
    names = [*(f"{d.name}{' (log)' if d.log else ''}" for d in space), results.objective]
    names = [svg.shorten(name, _MAX_NAME) for name in names]
    score_ticks = [(axis.position(low, s, high), wording.score(results.objective, s)) for s in axis.ticks(low, high)]
    top = _TOP + LINE_HEIGHT + max(map(len, names)) * LETTER_WIDTH * math.sin(_NAME_ANGLE)
    return _ParallelAxes(names, [*map(scale.ticks, space), score_ticks], top)


def _draw_trial(results: Results, trial: Trial, positions: Sequence[float | None], axes: _ParallelAxes) -> str:
    points = [(x, axes.y(position)) for x, position in zip(axes.xs, positions, strict=True)]
    best = _is_best(results, trial)
    dots = "".join(svg.dot(point, 4) for point in (points if best else points[-1:]))
    shade = round((_SHADES - 1) * _relative_rank(results, trial))
    style = f"--shade: var(--s{shade}); --width: {4 if best else 1.5}px"
    return svg.curve(wording.trial(results, trial), points, dots, "shaded", style=style)


def _relative_rank(results: Results, trial: Trial) -> float:
    """Returns the rank of the score, from 0 for the worst to 1; unlike the score it is robust to outliers."""
    scores = [other.score for other in results.leaderboard()]
    return 1 - scores.index(trial.score) / max(len(scores) - 1, 1)


def _draw_legend(x: float, y: float) -> str:
    """Draws the legend of the shades."""
    boxes = (svg.rectangle(x + 14 * i, y - 5, 14, 10, style=f"fill: var(--s{i})") for i in range(_SHADES))
    ends = svg.text(x - 8, y, "worst", "quiet", "end") + svg.text(x + 14 * _SHADES + 8, y, "best", "quiet")
    return ends + "".join(boxes)


@dataclass(frozen=True)
class Bar:
    """A row of a bar chart."""

    name: str
    value: float  # no bar is drawn below 0
    label: str  # behind the bar
    error: float = 0.0  # half the length of the whisker
    kind: str = COMPLETED  # state of the trial; bars of all other states are hollow


def bars(rows: Sequence[Bar], description: str) -> str:
    """Draws one or more horizontal bars."""
    names = [svg.shorten(row.name, _MAX_NAME) for row in rows]
    left, length, height = 16 + max(map(len, names)) * LETTER_WIDTH, 320, 26
    longest = max(max(row.value + row.error for row in rows), 1e-9)
    drawn = []
    for index, (row, name) in enumerate(zip(rows, names, strict=True)):
        y = height * (index + 0.5)
        ends = (row.value - row.error, row.value, row.value + row.error)
        low, end, high = (left + length * max(value, 0) / longest for value in ends)
        bar = svg.rectangle(left, y - 8, end - left, 16, class_=f"bar {row.kind}")
        whisker = element("path", d=f"M{low:.1f} {y - 4}v8m0 -4H{high:.1f}m0 -4v8", class_="whisker")
        labels = svg.text(left - 8, y, name, "", "end") + svg.text(high + 8, y, row.label, "quiet")
        title = element("title", escape(f"{row.name}: {row.label}"))
        drawn.append(element("g", title, bar, whisker if row.error else "", labels, class_="row"))
    width = left + length + 16 + LETTER_WIDTH * max(len(row.label) for row in rows)
    return svg.drawing(width, height * len(rows), description, *drawn)
