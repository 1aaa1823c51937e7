import itertools
import re
from xml.etree import ElementTree

import pytest
from html_page import Page
from made_runs import NAMES, make_predictions, make_run, measure

from pipeline.config.presets import quickstart
from pipeline.reports.run import components, facts
from pipeline.reports.run.document import attempt, render
from pipeline.runs.workspace import Workspace
from shiftvit.config import to_dict

LABELS = [0] * 60 + [1] * 40
ANSWERS = [0] * 50 + [1] * 10 + [1] * 40
CONFIDENCES = [0.9] * 50 + [0.99] * 10 + [0.6] * 40
PREDICTIONS = make_predictions(LABELS, ANSWERS, CONFIDENCES)
GRAPH = {
    "Ingest": [],
    "Train": ["Ingest"],
    "Try": ["Train"],
    "Judge": ["Ingest", "Train"],
    "Push": ["Judge", "Train", "Try"],
}
LONG_WAYS = {
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
MACHINE = {
    "processor": "A <fast> one",
    "cores": 2,
    "memory_bytes": 2**34,
    "gpus": [],
    "system": "Linux",
    "versions": {"python": "3.10"},
    "code": "abc",
    "processor_joules": None,
}
HISTORY = [
    {"epoch": 1, "loss": 2.0, "top1": 0.3, "val_loss": 1.5, "val_top1": 0.4, "learning_rate": 0.002},
    {"epoch": 2, "loss": 1.0, "top1": 0.6, "val_loss": 1.25, "val_top1": 0.625, "learning_rate": 0.0},
]
WHOLE = {
    "id": "20261123-153012",
    "state": "complete",
    "message": None,
    "seconds": 61.0,
    "preset": "quickstart",
    "source": "shapes",
    "started": 1.8e9,
    "summary": "Pushed version 7 to <there>.",
    "config": to_dict(quickstart()),
    "config_file": "runs/config.json",
    "log": "runs/log.txt",
    "executions": [
        {"id": number, "node": node, "state": state, "seconds": 60.0 * number}
        for number, (node, state) in enumerate({"Ingest": "cached", "Train": "complete", "Judge": "failed"}.items(), 1)
    ],
    "graph": GRAPH,
    "lineage": [
        {"id": 3, "type": "Model", "uri": "w/model", "facts": {"a": 1}, "node": "Train", "run": "r", "from": [1]}
    ],
    "search": None,
    "metrics": measure(
        PREDICTIONS, top1_change={"estimate": -0.1, "low": -0.2, "high": -0.01, "gained": 1, "lost": 11}
    ),
    "latency_ms": {"1": 12.5},
    "lite": {},
    "data": {"train_class_counts": "[6, 2]", "train_duplicates": 1, "test_label_drift": 0.25},
    "class_counts": {"train": [6, 2], "test": [60, 40]},
    "class_names": NAMES,
    "anomalies": ["eval, label: out of <range>"],
    "history": HISTORY,
    "trained": {"train": {"learning_rate": 0.003}},
    "reasons": ["top-1 of class <0> is too low"],
    "machine": MACHINE,
    "calibration": facts.calibration(PREDICTIONS),
    "mistakes": [{"position": 50, "label": 0, "answer": 1, "confidence": 0.99}] * len(PREDICTIONS.mistakes),
}
BARE = WHOLE | {
    "summary": None,
    "message": "it failed",
    "started": None,
    "graph": {},
    "lineage": [],
    "metrics": {},
    "data": {},
    "class_counts": {},
    "class_names": [],
    "anomalies": [],
    "history": [],
    "trained": {},
    "reasons": None,
    "machine": None,
    "calibration": [],
    "mistakes": [],
}


@pytest.fixture(scope="module")
def page():
    return Page(render(WHOLE, PREDICTIONS))


@pytest.fixture(scope="module", params=["whole", "bare"])
def markup(request):
    return render(WHOLE, PREDICTIONS) if request.param == "whole" else render(BARE, None)


def test_the_page_runs_nothing_and_leads_nowhere_outside(markup):
    found = re.findall(r"""(?:src|href|srcset|action)\s*=\s*"([^"]*)""", markup)

    assert found and all(address.startswith(("data:image/png;base64,", "#")) for address in found)
    assert re.findall(r"url\(|@import|<(?:link|script|iframe|object)", markup) == []
    assert "content=\"default-src 'none'; img-src data:; style-src 'unsafe-inline'\"" in markup


def test_the_page_can_be_read_without_eyes_or_mouse(markup):
    page = Page(markup)
    levels = [int(tag[1]) for tag, _, _ in page.elements if re.fullmatch("h[1-6]", tag)]
    ids = [attributes["id"] for _, attributes, _ in page.elements if "id" in attributes]
    links = [attributes["href"] for _, attributes, _ in page.find("a")]

    assert levels[0] == 1 and levels.count(1) == 1
    assert all(after <= before + 1 for before, after in itertools.pairwise(levels))
    assert len(set(ids)) == len(ids) and {link.removeprefix("#") for link in links} <= set(ids)
    assert links[0] == "#main" and len(page.find("main")) == len(page.find("nav")) == 1
    assert all(attributes["alt"] for _, attributes, _ in page.find("img"))
    assert all(attributes["scope"] in ("col", "row") for _, attributes, _ in page.find("th"))
    assert all(text for text in page.words("th")) and len(page.find("caption")) == len(page.find("table"))
    assert all(a["role"] == "img" and a["aria-label"] for _, a, _ in page.find("svg"))
    assert all(a["tabindex"] == "0" and a["aria-label"] for _, a, _ in page.find("div", **{"class": "scroll"}))


def test_what_comes_from_the_run_is_text_and_no_markup(markup):
    assert all(
        ElementTree.fromstring(drawing) is not None for drawing in re.findall("<svg.*?</svg>", markup, re.DOTALL)
    )
    assert "<there>" not in markup and "<range>" not in markup and "<0>" not in markup and "<fast>" not in markup
    assert Page(markup).find("i") == []


def test_the_quality_has_its_intervals_and_the_change_from_the_baseline(page):
    told = dict(zip(page.words("dt"), page.words("dd"), strict=True))

    assert told["Top-1, with its interval of 95%"] == "90.0% (82.6% to 94.5%)"
    assert told["Change of top-1 from the baseline"] == "worse by 10.0 points (1.0 to 20.0); 1 images gained, 11 lost"
    assert told["Energy"].startswith("not known") and told["Latency of 1 at once"].startswith("12.5 ms")
    cells = [" | ".join(row) for row in rows(page)]
    assert "cat | 60 | 83.3% (72.0% to 90.7%) | 100.0% of 50 | dog & <i>wolf</i> (10)" in cells
    assert "dog & <i>wolf</i> | 40 | 100.0% (91.2% to 100.0%) | 80.0% of 50 | " in cells
    assert "cat | 50 | 10" in cells, "confusion"
    assert "blur | 40 | 50.0% (35.2% to 64.8%)" in cells
    assert "cat | 6 (75.0%) | 60 (60.0%)" in cells and "all classes | 8 | 100" in cells
    assert "duplicates | 1 |  | " in cells and "label drift |  |  | 0.25" in cells
    assert "train.learning_rate | 0.002 | 0.003" in cells
    assert "2 | 1 | 0.6 | 1.25 | 0.625 | 0" in cells
    assert "top-1 of class <0> is too low" in page.words("li")


def rows(page):
    """Returns the texts of the cells of each row, in order."""
    found = []
    for tag, _, text in page.elements:
        if tag == "tr":
            found.append([])
        elif tag in ("td", "th") and found:
            found[-1].append(text.strip())
    return found


def test_mistakes_are_pictures_with_what_was_answered_and_what_is_true(page):
    told = [attributes["alt"] for _, attributes, _ in page.find("img") if attributes["alt"].startswith("Test image")]

    assert len(told) == 10
    assert told[0] == "Test image 50: answered dog & <i>wolf</i>, 99.0% sure; it is cat"
    assert any(words.startswith("10 of 10 wrong answers") for words in page.words("p", **{"class": "note"}))


def test_a_run_that_did_not_come_far_says_so_in_place_of_figures():
    page = Page(render(BARE, None))

    assert page.words("p", **{"class": "headline"}) == ["it failed"]
    for words in (
        "did not come to measure a model",
        "left a history",
        "did not come to count the classes",
        "not passed the data gate",
    ):
        assert any(words in told for told in page.words("p"))
    assert page.find("img") == []
    assert not any("trained as configured" in told for told in page.words("p"))


def test_energy_that_was_measured_is_told():
    page = Page(render(WHOLE | {"machine": MACHINE | {"processor_joules": 3.6e6}}, PREDICTIONS))

    assert any(
        told.startswith("1.000 kWh by the processors of the machine, with all else") for told in page.words("dd")
    )


def test_bins_of_calibration_have_what_is_in_them_and_no_answer_that_is_no_number():
    predictions = make_predictions([0, 0, 0, 1], [0, 1, 0, 1], [0.9, 0.92, 0.5, float("nan")])

    low, high = facts.calibration(predictions)

    assert (low["images"], low["confidence"], low["top1"]) == (1, 0.5, 1.0)
    assert (high["images"], high["top1"]) == (2, 0.5) and high["confidence"] == pytest.approx(0.91)
    assert (high["low"], high["high"]) == pytest.approx((13 / 15, 14 / 15))


def test_the_graph_has_every_component_below_those_that_it_waits_for():
    drawing = ElementTree.fromstring(components.draw(GRAPH, WHOLE["executions"]))
    nodes = [group for group in drawing.iter("g") if group.get("class", "").startswith("node")]
    places = {"".join(g.find("text[@class='name']").itertext()): float(g.find("rect").get("y")) for g in nodes}
    told = ["".join(group.find("text[@class='quiet']").itertext()) for group in nodes]

    assert all(places[giver] < places[taker] for taker, givers in GRAPH.items() for giver in givers)
    assert told == ["cached", "complete, 2:00", "not run", "failed, 3:00", "not run"]
    spots = {(g.find("rect").get("x"), g.find("rect").get("y")) for g in nodes}
    assert len(spots) == len(GRAPH), "one over another"
    assert len(list(edges(drawing))) == 5


def edges(drawing):
    """Yields each edge as where it leaves, at which height it turns, and where it ends."""
    for path in (path for path in drawing.iter("path") if path.get("class") == "edge"):
        yield map(float, re.match(r"M(\S+) (\S+)V([\d.]+)H([\d.]+)V([\d.]+)m", path.get("d")).groups())


@pytest.mark.parametrize("graph", [GRAPH, LONG_WAYS], ids=["usual", "long ways"])
def test_no_edge_passes_through_a_component(graph):
    drawing = ElementTree.fromstring(components.draw(graph, []))
    boxes = [[float(rect.get(name)) for name in ("x", "y", "width", "height")] for rect in drawing.iter("rect")]

    for start, bottom, turn, end, top in edges(drawing):
        for x, y, width, height in boxes:
            assert not (x < start < x + width and bottom < y + height and y < turn)
            assert not (x < end < x + width and turn < y + height and y < top)
            assert not (y < turn < y + height)


def test_arrows_that_longer_ways_make_needless_are_left_out():
    edges = [("a", "b"), ("b", "c"), ("a", "c"), ("c", "d"), ("a", "d")]

    assert components.without_shortcuts(edges) == [("a", "b"), ("b", "c"), ("c", "d")]


def test_what_only_a_later_one_waits_for_stands_right_above_that():
    assert components.rank(["a", "early", "b", "c"], [("a", "b"), ("b", "c"), ("early", "c")])["early"] == 1


def test_a_report_that_cannot_be_made_is_a_line(tmp_path, monkeypatch):
    folder = make_run(Workspace(tmp_path), "a", PREDICTIONS)
    assert attempt(Workspace(tmp_path), folder) == "", "no component has run: nothing to show"
    folder.predictions.write_bytes(b"damaged")

    told = attempt(Workspace(tmp_path), folder)

    assert told.startswith("No report was made: ") and told.endswith("`shiftvit report a` tries again.")
    assert not folder.report.exists()
