import re
from xml.etree import ElementTree

import pytest

from pipeline.reports.run.components import draw, rank, transitive_reduction
from pipeline.runs.lineage import Execution

GRAPH = {
    "Ingest": [],
    "Train": ["Ingest"],
    "Try": ["Train"],
    "Judge": ["Ingest", "Train"],
    "Push": ["Judge", "Train", "Try"],
}
LONG_EDGES = {
    "a": [],
    "b": ["a"],
    "c": ["b"],
    "f": ["a"],
    "d": ["c", "f"],
    "e": [],
    "g": ["d", "e"],
    "h": ["a"],
    "i": ["g", "h"],
}
STATES = {"Ingest": "cached", "Train": "complete", "Judge": "failed"}
EXECUTIONS = [
    Execution(number, node, "run", state, 0.0, 60.0 * number, {}, {})
    for number, (node, state) in enumerate(STATES.items(), 1)
]


def edges_of(drawing):
    """Yields the start, bottom, turn, end and top of each edge: it goes down, turns at `turn`, and goes down again."""
    for path in (path for path in drawing.iter("path") if path.get("class") == "edge"):
        yield map(float, re.match(r"M(\S+) (\S+)V([\d.]+)H([\d.]+)V([\d.]+)m", path.get("d")).groups())


def test_each_component_is_below_those_it_waits_for_and_shows_its_state():
    drawing = ElementTree.fromstring(draw(GRAPH, EXECUTIONS))
    nodes = [group for group in drawing.iter("g") if group.get("class", "").startswith("node")]
    heights = {"".join(g.find("text[@class='name']").itertext()): float(g.find("rect").get("y")) for g in nodes}
    states = ["".join(group.find("text[@class='quiet']").itertext()) for group in nodes]
    corners = {(g.find("rect").get("x"), g.find("rect").get("y")) for g in nodes}

    assert all(heights[upstream] < heights[node] for node, upstreams in GRAPH.items() for upstream in upstreams)
    assert states == ["cached", "complete, 2:00", "not run", "failed, 3:00", "not run"]
    assert len(corners) == len(GRAPH), "two components are at the same place"
    assert len(list(edges_of(drawing))) == 5


@pytest.mark.parametrize("graph", [GRAPH, LONG_EDGES], ids=["usual", "long edges"])
def test_no_edge_crosses_a_component(graph):
    drawing = ElementTree.fromstring(draw(graph, []))
    boxes = [[float(rect.get(name)) for name in ("x", "y", "width", "height")] for rect in drawing.iter("rect")]

    for start, bottom, turn, end, top in edges_of(drawing):
        for x, y, width, height in boxes:
            assert not (x < start < x + width and bottom < y + height and y < turn)
            assert not (x < end < x + width and turn < y + height and y < top)
            assert not (y < turn < y + height)


def test_edges_that_a_longer_path_replaces_are_left_out():
    edges = [("a", "b"), ("b", "c"), ("a", "c"), ("c", "d"), ("a", "d")]

    assert transitive_reduction(edges) == [("a", "b"), ("b", "c"), ("c", "d")]


def test_a_node_without_upstream_nodes_is_right_above_its_downstream_node():
    assert rank(["a", "early", "b", "c"], [("a", "b"), ("b", "c"), ("early", "c")])["early"] == 1
