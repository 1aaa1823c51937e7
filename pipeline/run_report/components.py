"""The part of the report on the graph: each component's state and time, drawn and as a table."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from pipeline.figures import duration
from pipeline.run_report.facts import Facts
from tuner.report import svg
from tuner.report.markup import element, escape, note, scrollable, section, table

_WIDTH, _HEIGHT, _APART, _BETWEEN = 146.0, 46.0, 44.0, 22.0  # of a node, and between two of them

Edge = tuple[str, str]  # giver and taker


def render(facts: Facts) -> str:
    """Returns the section."""
    executions = facts["executions"]
    legend = "Arrows: what one component made, another one took. Dashed: from the cache, so nothing ran."
    return section(
        "Components",
        note(legend),
        scrollable("The graph of the components", draw(executions, facts["graph"])) if executions else "",
        table(
            "Components in the order in which they ran",
            ["component", "state", "time", "execution"],
            [
                [escape(e["node"]), _state(e["state"]), _time(e), str(e["id"])]
                for e in sorted(executions, key=lambda e: e["id"])
            ],
        ),
        id="components",
    )


def _state(state: str) -> str:
    return element("span", state, class_="bad") if state in ("failed", "interrupted") else escape(state)


def _time(execution: Mapping[str, Any]) -> str:
    return "" if execution["state"] == "cached" else duration(execution["seconds"])


def draw(executions: Sequence[Mapping[str, Any]], edges: Sequence[Edge]) -> str:
    """Returns the drawing of one component at least: each to the right of those that it took something from."""
    nodes = {execution["node"]: execution for execution in executions}
    edges = without_shortcuts(edges)
    ranks = rank(list(nodes), edges)
    places = _place(ranks)
    width = max(x for x, _ in places.values()) + _WIDTH + 2
    height = max(y for _, y in places.values()) + _HEIGHT + 2
    return svg.drawing(
        width,
        height,
        f"{len(nodes)} components, each right of those whose artifacts it took; the table tells the same in words",
        *(_draw_edge(places[giver], places[taker]) for giver, taker in edges),
        *(_draw_node(execution, places[name]) for name, execution in nodes.items()),
    )


def without_shortcuts(edges: Sequence[Edge]) -> list[Edge]:
    """Returns the edges but those beside which a longer way leads to the same node."""
    takers: dict[str, set[str]] = {}
    for giver, taker in edges:
        takers.setdefault(giver, set()).add(taker)

    def reach(name: str) -> set[str]:
        return {name}.union(*(reach(taker) for taker in takers.get(name, ())))

    return [(a, b) for a, b in edges if not any(b in reach(other) for other in takers[a] - {b})]


def rank(names: Sequence[str], edges: Sequence[Edge]) -> dict[str, int]:
    """Returns the column of each node: behind all that it took from, but no further from its takers than need be.

    names: in an order in which they ran.
    """
    ranks: dict[str, int] = {}
    for name in names:
        ranks[name] = 1 + max((ranks[giver] for giver, taker in edges if taker == name), default=-1)
    for name in reversed(names):
        takers = [ranks[taker] for giver, taker in edges if giver == name]
        ranks[name] = min(takers) - 1 if takers else ranks[name]
    return ranks


def _place(ranks: Mapping[str, int]) -> dict[str, svg.Point]:
    columns: dict[int, list[str]] = {}
    for name, column in ranks.items():
        columns.setdefault(column, []).append(name)
    return {
        name: (1 + column * (_WIDTH + _APART), 1 + row * (_HEIGHT + _BETWEEN))
        for column, members in columns.items()
        for row, name in enumerate(members)
    }


def _draw_node(execution: Mapping[str, Any], place: svg.Point) -> str:
    x, y = place
    name, state = execution["node"], execution["state"]
    told = state if state == "cached" else f"{state}, {duration(execution['seconds'])}"
    letters = math.floor((_WIDTH - 12) / (svg.LETTER + 0.6))
    return element(
        "g",
        element("title", escape(f"{name}: {told}")),
        svg.box(x, y, _WIDTH, _HEIGHT, rx="6"),
        svg.text(x + _WIDTH / 2, y + 15, svg.cut(name, letters), "name", "middle"),
        svg.text(x + _WIDTH / 2, y + 32, told, "quiet", "middle"),
        class_=f"node {state}",
    )


def _draw_edge(giver: svg.Point, taker: svg.Point) -> str:
    start, end = (giver[0] + _WIDTH, giver[1] + _HEIGHT / 2), (taker[0], taker[1] + _HEIGHT / 2)
    middle = end[0] - _APART / 2
    curve = f"M{start[0]:.1f} {start[1]:.1f}H{middle - 14:.1f}L{middle:.1f} {end[1]:.1f}H{end[0]:.1f}"
    return element("path", d=f"{curve}m-6 -4l6 4l-6 4", class_="edge")
