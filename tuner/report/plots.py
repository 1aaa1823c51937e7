"""Charts of a search as SVG: curves by epoch, all settings side by side, and bars."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from charts import axis, line_chart, svg
from charts.line_chart import Axes, Series
from charts.markup import element, escape
from charts.svg import LETTER_WIDTH, LINE_HEIGHT, Point
from tuner.report import scale, wording
from tuner.results import COMPLETED, Results, Trial

_SHADES = 7  # from the worst score to the best: the page's --s0 to --s6
_LONGEST = 34  # letters of a name that are shown
_TURN = math.radians(30)  # of the names of axes, so that long ones pass each other
_TOP = 24.0  # above the frame


def learning_curves(results: Results) -> str:
    """Returns the objective of each trial by epoch, best and first emphasised; nothing without a finished epoch.

    The frame holds all curves of trials with a score: what diverged would leave the others no height.
    """
    curves = {trial.id: points for trial in results.trials if (points := _points(trial, results.objective))}
    if not curves:
        return ""
    drawn = [trial for trial in _best_last(results) if trial.id in curves]
    series = [
        Series(
            wording.trial(results, trial),
            curves[trial.id],
            f"{role}: trial {trial.id}, {_score(results, trial)}" if (role := _role(results, trial)) else "",
            _kind(results, trial),
            sets_range=trial.score is not None,
        )
        for trial in drawn
    ]
    axes = Axes(
        "epoch", results.objective, lambda y: wording.score(results.objective, y), x_min=1, x_max=results.epochs
    )
    return line_chart.draw(series, axes, f"{results.objective} by epoch of {len(drawn)} trials")


def _points(trial: Trial, objective: str) -> list[Point]:
    rows = [(row["epoch"] + 1, row.get(objective, math.nan)) for row in trial.curve]
    return [(epoch, value) for epoch, value in rows if math.isfinite(value)]


def _best_last(results: Results) -> list[Trial]:
    """Returns the trials as they are laid over each other: without a score, worst to best, the first, the best."""
    ranked = results.leaderboard()[::-1]
    order = [trial for trial in results.trials if trial.score is None] + ranked
    return sorted(order, key=lambda trial: (trial in ranked[-1:], trial is results.trials[0]))


def _is_best(results: Results, trial: Trial) -> bool:
    return trial in results.leaderboard()[:1]


def _role(results: Results, trial: Trial) -> str:
    roles = {"best": _is_best(results, trial), "first": trial is results.trials[0]}
    return " and ".join(role for role, holds in roles.items() if holds)


def _kind(results: Results, trial: Trial) -> str:
    return _role(results, trial).split(" ")[0]


def _score(results: Results, trial: Trial) -> str:
    return "no score" if trial.score is None else wording.score(results.objective, trial.score)


@dataclass(frozen=True)
class _Axes:
    """Upright axes side by side, the score's last."""

    names: Sequence[str]
    ticks: Sequence[Sequence[scale.Tick]]
    top: float

    @property
    def bottom(self) -> float:
        return self.top + 300

    @property
    def xs(self) -> list[float]:
        return [40.0 + 98 * index for index in range(len(self.names))]

    @property
    def reach(self) -> float:
        """How far to the right the names go."""
        return max(x + len(name) * LETTER_WIDTH * math.cos(_TURN) for x, name in zip(self.xs, self.names, strict=True))

    def y(self, position: float | None) -> float:
        """Returns the height of a position from 0 to 1; what is switched off lies below the axes."""
        return self.bottom + 26 if position is None else self.bottom - (self.bottom - self.top) * position

    def draw(self) -> str:
        line_chart = "".join(svg.line([(x, self.top), (x, self.bottom)], "rule") for x in self.xs)
        return line_chart + "".join(map(self._draw_words, self.xs, self.names, self.ticks))

    def _draw_words(self, x: float, name: str, ticks: Sequence[scale.Tick]) -> str:
        every = math.ceil(len(ticks) / 18)  # more would stand on each other
        marks = "".join(svg.text(x + 8, self.y(place), svg.shorten(words, 13)) for place, words in ticks[::every])
        turned = f"translate({x} {self.top - 14:.1f}) rotate({-math.degrees(_TURN):.0f})"
        return marks + element("text", escape(name), transform=turned)


def parallel_coordinates(results: Results) -> str:
    """Returns each trial with a score as a line across an axis for each hyperparameter to that of the score."""
    trials = [trial for trial in _best_last(results) if trial.score is not None]
    if not trials:
        return ""
    axes = _make_axes(results, trials)
    low, high = _span(trials)
    space, x = scale.space(results), axes.xs[-1]
    placed = [
        [scale.position(d, trial.values[d.name]) if d.name in trial.values else None for d in space]
        + [axis.position(low, trial.score, high)]
        for trial in trials
    ]
    label = f"best: trial {trials[-1].id}"
    return svg.drawing(
        max(axes.reach, x + 90 + 1.1 * LETTER_WIDTH * len(label)),
        axes.bottom + 44,
        f"{len(trials)} trials, each a line across {len(space)} hyperparameters to its {results.objective}",
        svg.text(32, axes.y(None), "off", "quiet", "end") if any(None in positions for positions in placed) else "",
        element("g", *(_setting(results, *line, axes) for line in zip(trials, placed, strict=True)), class_="curves"),
        _colours(x, axes.y(None)),
        axes.draw(),
        svg.text(x + 84, axes.y(placed[-1][-1]), label, "strong"),
    )


def _make_axes(results: Results, trials: Sequence[Trial]) -> _Axes:
    low, high = _span(trials)
    space = scale.space(results)
    names = [*(f"{d.name}{' (log)' if d.log else ''}" for d in space), results.objective]
    names = [svg.shorten(name, _LONGEST) for name in names]
    steps = [(axis.position(low, s, high), wording.score(results.objective, s)) for s in axis.ticks(low, high)]
    top = _TOP + LINE_HEIGHT + max(map(len, names)) * LETTER_WIDTH * math.sin(_TURN)
    return _Axes(names, [*map(scale.ticks, space), steps], top)


def _span(trials: Sequence[Trial]) -> tuple[float, float]:
    scores = [trial.score for trial in trials]
    return min(scores), max(scores)


def _setting(results: Results, trial: Trial, positions: Sequence[float | None], axes: _Axes) -> str:
    points = [(x, axes.y(position)) for x, position in zip(axes.xs, positions, strict=True)]
    best = _is_best(results, trial)
    dots = "".join(svg.dot(point, 4) for point in (points if best else points[-1:]))
    style = f"--shade: var(--s{round((_SHADES - 1) * _goodness(results, trial))}); --width: {4 if best else 1.5}px"
    return svg.curve(wording.trial(results, trial), points, dots, "shaded", style=style)


def _goodness(results: Results, trial: Trial) -> float:
    """Returns the rank of the score from 0, the worst, to 1; by the score itself one outlier would take all colours."""
    scores = [other.score for other in results.leaderboard()]
    return 1 - scores.index(trial.score) / max(len(scores) - 1, 1)


def _colours(x: float, y: float) -> str:
    """Returns the legend of the colours, under the score's axis."""
    boxes = (svg.rectangle(x + 14 * i, y - 5, 14, 10, style=f"fill: var(--s{i})") for i in range(_SHADES))
    words = svg.text(x - 8, y, "worst", "quiet", "end") + svg.text(x + 14 * _SHADES + 8, y, "best", "quiet")
    return words + "".join(boxes)


@dataclass(frozen=True)
class Bar:
    """A row of a bar chart."""

    name: str
    value: float  # below 0 there is no bar
    words: str
    error: float = 0.0  # draws a whisker to both sides
    kind: str = COMPLETED  # a trial's state: the others look hollow


def bars(rows: Sequence[Bar], label: str) -> str:
    """Returns a bar for each row, one row at least."""
    names = [svg.shorten(row.name, _LONGEST) for row in rows]
    left, length, height = 16 + max(map(len, names)) * LETTER_WIDTH, 320, 26
    longest = max(max(row.value + row.error for row in rows), 1e-9)
    drawn = []
    for index, (row, name) in enumerate(zip(rows, names, strict=True)):
        y = height * (index + 0.5)
        low, end, high = (
            left + length * max(part, 0) / longest for part in (row.value - row.error, row.value, row.value + row.error)
        )
        bar = svg.rectangle(left, y - 8, end - left, 16, class_=f"bar {row.kind}")
        whisker = element("path", d=f"M{low:.1f} {y - 4}v8m0 -4H{high:.1f}m0 -4v8", class_="whisker")
        words = svg.text(left - 8, y, name, "", "end") + svg.text(high + 8, y, row.words, "quiet")
        title = element("title", escape(f"{row.name}: {row.words}"))
        drawn.append(element("g", title, bar, whisker if row.error else "", words, class_="row"))
    width = left + length + 16 + LETTER_WIDTH * max(len(row.words) for row in rows)
    return svg.drawing(width, height * len(rows), label, *drawn)
