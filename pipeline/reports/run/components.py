"""The part of the report on the graph: each component's state and time, drawn and as a table."""

import itertools
import math
from collections.abc import Mapping, Sequence
from typing import Any

from charts import svg
from charts.formats import duration
from charts.markup import element, escape, note, scrollable, section, table
from pipeline.reports.run.facts import Facts

_WIDTH, _HEIGHT, _APART, _BETWEEN = 154.0, 46.0, 26.0, 20.0  # of a node; between two, below and beside each other

Graph = Mapping[str, Sequence[str]]  # by component, those that it waits for
Edge = tuple[str, str]  # who is waited for, and who waits


def render(facts: Facts) -> str:
    """Returns the section."""
    executions = sorted(facts["executions"], key=lambda e: e["id"])
    rows = [[escape(e["node"]), _state(e["state"]), _time(e), str(e["id"])] for e in executions]
    return section(
        "Components",
        _drawn(facts["graph"], executions) if facts["graph"] else "",
        table("Components in the order in which they ran", ["component", "state", "time", "execution"], rows),
        id="components",
    )


def _drawn(graph: Graph, executions: Sequence[Mapping[str, Any]]) -> str:
    legend = "A component waits for those with an arrow to it. Dashed: from the cache, so nothing ran."
    return note(legend) + scrollable("The graph of the components", draw(graph, executions))


def _state(state: str) -> str:
    return element("span", state, class_="bad") if state in ("failed", "interrupted") else escape(state)


def _time(execution: Mapping[str, Any]) -> str:
    return "" if execution["state"] == "cached" else duration(execution["seconds"])


def draw(graph: Graph, executions: Sequence[Mapping[str, Any]]) -> str:
    """Returns the drawing of one component at least: each below those that it waits for."""
    edges = without_shortcuts([(giver, taker) for taker, givers in graph.items() for giver in givers])
    places = _place(rank(list(graph), edges), edges)
    ran = {execution["node"]: execution for execution in executions}
    return svg.drawing(
        max(x for x, _ in places.values()) + _WIDTH + 2,
        max(y for _, y in places.values()) + _HEIGHT + 2,
        f"{len(graph)} components, each below those that it waits for; the table tells their states and times in words",
        *(_draw_edge(places[giver], places[taker]) for giver, taker in edges),
        *(_draw_node(name, ran.get(name), place) for name, place in places.items()),
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
    """Returns the row of each node: below all that it waits for, but no further from who waits for it than need be.

    names: in an order in which they ran.
    """
    ranks: dict[str, int] = {}
    for name in names:
        ranks[name] = 1 + max((ranks[giver] for giver, taker in edges if taker == name), default=-1)
    for name in reversed(names):
        takers = [ranks[taker] for giver, taker in edges if giver == name]
        ranks[name] = min(takers) - 1 if takers else ranks[name]
    return ranks


def _place(ranks: Mapping[str, int], edges: Sequence[Edge]) -> dict[str, svg.Point]:
    """Returns the corner of each node, in the first column whose way down from all that it waits for is free."""
    above = {name: [ranks[giver] for giver, taker in edges if taker == name] or [ranks[name] - 1] for name in ranks}
    taken: set[tuple[int, int]] = set()
    columns = {}
    waiting = {taker for _, taker in edges}
    for name in sorted(ranks, key=lambda name: (ranks[name], name not in waiting, -min(above[name]))):
        rows = range(min(above[name]) + 1, ranks[name] + 1)
        columns[name] = next(c for c in itertools.count() if not any((row, c) in taken for row in rows))
        taken |= {(row, columns[name]) for row in rows}
    return {
        name: (1 + columns[name] * (_WIDTH + _BETWEEN), 1 + row * (_HEIGHT + _APART)) for name, row in ranks.items()
    }


def _draw_node(name: str, execution: Mapping[str, Any] | None, place: svg.Point) -> str:
    x, y = place
    state = execution["state"] if execution else "not run"
    told = f"{state}, {_time(execution)}" if execution and _time(execution) else state
    letters = math.floor((_WIDTH - 12) / (svg.LETTER_WIDTH + 0.6))
    return element(
        "g",
        element("title", escape(f"{name}: {told}")),
        svg.rectangle(x, y, _WIDTH, _HEIGHT, rx="6"),
        svg.text(x + _WIDTH / 2, y + 15, svg.shorten(name, letters), "name", "middle"),
        svg.text(x + _WIDTH / 2, y + 32, told, "quiet", "middle"),
        class_=f"node {state}",
    )


def _draw_edge(giver: svg.Point, taker: svg.Point) -> str:
    (x, y), (end, below) = (giver[0] + _WIDTH / 2, giver[1] + _HEIGHT), (taker[0] + _WIDTH / 2, taker[1])
    middle = y + _APART / 2
    path = f"M{x:.1f} {y:.1f}V{middle:.1f}H{end:.1f}V{below:.1f}"
    return element("path", d=f"{path}m-4 -6l4 6l4 -6", class_="edge")
