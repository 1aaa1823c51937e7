"""The section on the components: state and duration of each, as a drawn graph and as a table."""

import itertools
import math
from collections.abc import Mapping, Sequence

from charts import svg
from charts.formats import duration
from charts.markup import element, escape, note, scrollable, section, table
from pipeline.reports.run.contents import ReportContents
from pipeline.runs.events import CACHED, FAILED, INTERRUPTED
from pipeline.runs.lineage import Execution

_WIDTH, _HEIGHT = 154.0, 46.0  # of a node
_ROW_GAP, _COLUMN_GAP = 26.0, 20.0
_PADDING = 6.0  # beside the name in a node

Graph = Mapping[str, Sequence[str]]  # upstream nodes by node
Edge = tuple[str, str]  # an upstream node and a downstream node


def render(contents: ReportContents) -> str:
    """Returns the section."""
    executions = contents.run.executions
    rows = [[escape(e.node), _state(e.state), _duration(e), str(e.id)] for e in executions]
    return section(
        "Components",
        _graph(contents.graph, executions) if contents.graph else "",
        table("Components in the order they ran", ["component", "state", "duration", "execution"], rows),
        id="components",
    )


def _graph(graph: Graph, executions: Sequence[Execution]) -> str:
    legend = "Arrows lead from a component to those that wait for it. Dashed: taken from the cache, nothing ran."
    return note(legend) + scrollable("Graph of the components", draw(graph, executions))


def _state(state: str) -> str:
    return element("span", state, class_="bad") if state in (FAILED, INTERRUPTED) else escape(state)


def _duration(execution: Execution) -> str:
    return "" if execution.state == CACHED else duration(execution.seconds)


def draw(graph: Graph, executions: Sequence[Execution]) -> str:
    """Returns the drawing of a graph with at least one node, each below its upstream nodes."""
    edges = transitive_reduction([(upstream, node) for node, upstreams in graph.items() for upstream in upstreams])
    corners = _corners(rank(list(graph), edges), edges)
    by_node = {execution.node: execution for execution in executions}
    return svg.drawing(
        max(x for x, _ in corners.values()) + _WIDTH + 2,
        max(y for _, y in corners.values()) + _HEIGHT + 2,
        f"Graph of {len(graph)} components, each below those it waits for; the table has their states and durations",
        *(_draw_edge(corners[upstream], corners[node]) for upstream, node in edges),
        *(_draw_node(name, by_node.get(name), corner) for name, corner in corners.items()),
    )


def transitive_reduction(edges: Sequence[Edge]) -> list[Edge]:
    """Returns the edges without those whose two nodes a longer path connects too."""
    downstream: dict[str, set[str]] = {}
    for start, end in edges:
        downstream.setdefault(start, set()).add(end)

    def reachable(name: str) -> set[str]:
        return {name}.union(*(reachable(following) for following in downstream.get(name, ())))

    return [(a, b) for a, b in edges if not any(b in reachable(other) for other in downstream[a] - {b})]


def rank(names: Sequence[str], edges: Sequence[Edge]) -> dict[str, int]:
    """Returns the row of each node: below all its upstream nodes, and right above its first downstream node.

    Args:
        names: in topological order.
        edges: between them.
    """
    ranks: dict[str, int] = {}
    for name in names:
        ranks[name] = 1 + max((ranks[start] for start, end in edges if end == name), default=-1)
    for name in reversed(names):
        below = [ranks[end] for start, end in edges if start == name]
        ranks[name] = min(below) - 1 if below else ranks[name]
    return ranks


def _corners(ranks: Mapping[str, int], edges: Sequence[Edge]) -> dict[str, svg.Point]:
    """Returns each node's top left corner, in the first column that is free up to its highest upstream node."""
    above = {name: [ranks[start] for start, end in edges if end == name] or [ranks[name] - 1] for name in ranks}
    with_upstream = {end for _, end in edges}
    occupied: set[tuple[int, int]] = set()
    columns = {}
    for name in sorted(ranks, key=lambda name: (ranks[name], name not in with_upstream, -min(above[name]))):
        rows = range(min(above[name]) + 1, ranks[name] + 1)
        columns[name] = next(c for c in itertools.count() if not any((row, c) in occupied for row in rows))
        occupied |= {(row, columns[name]) for row in rows}
    return {
        name: (1 + columns[name] * (_WIDTH + _COLUMN_GAP), 1 + row * (_HEIGHT + _ROW_GAP))
        for name, row in ranks.items()
    }


def _draw_node(name: str, execution: Execution | None, corner: svg.Point) -> str:
    x, y = corner
    state = execution.state if execution else "not run"
    time = _duration(execution) if execution else ""
    description = f"{state}, {time}" if time else state
    letters = math.floor((_WIDTH - 2 * _PADDING) / (svg.LETTER_WIDTH + 0.6))  # the name is bold, so wider
    return element(
        "g",
        element("title", escape(f"{name}: {description}")),
        svg.rectangle(x, y, _WIDTH, _HEIGHT, rx="6"),
        svg.text(x + _WIDTH / 2, y + 15, svg.shorten(name, letters), "name", "middle"),
        svg.text(x + _WIDTH / 2, y + 32, description, "quiet", "middle"),
        class_=f"node {state}",
    )


def _draw_edge(upstream: svg.Point, node: svg.Point) -> str:
    """Returns a line down from a node, across in the gap below it, and down to the other node, with an arrowhead."""
    start, bottom = upstream[0] + _WIDTH / 2, upstream[1] + _HEIGHT
    end, top = node[0] + _WIDTH / 2, node[1]
    path = f"M{start:.1f} {bottom:.1f}V{bottom + _ROW_GAP / 2:.1f}H{end:.1f}V{top:.1f}"
    return element("path", d=f"{path}m-4 -6l4 6l4 -6", class_="edge")
