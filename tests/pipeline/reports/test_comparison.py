import json

import pytest
from html_page import Page
from made_runs import make_predictions, make_run

from pipeline.cli.main import main
from pipeline.reports.comparison.document import render
from pipeline.reports.comparison.facts import CAUTION, compare, sentences
from pipeline.runs.workspace import Workspace

LABELS = [0, 1] * 500


def answered(wrong):
    """Returns answers of which the first `wrong` are wrong."""
    return [1 - label if number < wrong else label for number, label in enumerate(LABELS)]


@pytest.fixture
def workspace(tmp_path):
    """Runs: a has 200 of 1,000 wrong, b 100, c 195 of other images, d came to no model."""
    workspace = Workspace(tmp_path)
    make_run(workspace, "a", make_predictions(LABELS, answered(200)))
    make_run(workspace, "b", make_predictions(LABELS, answered(100)), ["train.epochs=20", "model.dims=16,32"])
    make_run(workspace, "c", make_predictions(LABELS, answered(195), split="other"))
    make_run(workspace, "d")
    return workspace


def compared(workspace, *names):
    folders = {folder.id: folder for folder in workspace.run_folders()}
    return compare(workspace, [folders[name] for name in names])


def test_the_settings_that_differ_are_told_by_their_dotted_names(workspace):
    assert compared(workspace, "a", "b")["settings"] == {"model.dims": [[32, 64], [16, 32]], "train.epochs": [12, 20]}
    assert compared(workspace, "a", "a")["settings"] == {}


def test_answers_to_the_same_images_are_paired(workspace):
    better, worse = (compared(workspace, *names) for names in (("a", "b"), ("b", "a")))

    told = "100 of them gained, 0 lost."
    assert sentences(better) == [
        f"b against a: better by 10.0 points (8.1 to 11.8), on the same 1,000 test images; {told}",
        CAUTION,
    ]
    assert sentences(worse)[0].startswith("a against b: worse by 10.0 points (8.1 to 11.8), on the same 1,000")


def test_answers_to_other_images_are_not_and_then_tell_less(workspace):
    (paired,) = compared(workspace, "a", "b")["changes"]
    facts = compared(workspace, "b", "c", "d")
    unpaired, none = facts["changes"]

    assert "images" not in unpaired and unpaired["high"] - unpaired["low"] > 1.4 * (paired["high"] - paired["low"])
    told = sentences(facts)
    assert told[0].startswith("c against b: worse by 9.5 points (") and "on other test images" in told[0]
    assert none is None and told[1] == "d against b: nothing to compare, one of the two has not measured a model."


def test_what_chance_can_make_is_no_difference(workspace):
    told = sentences(compared(workspace, "a", "c"))

    assert told[0] == "No setting differs: what differs is chance."
    assert told[1].startswith("c against a: no difference can be told: +0.5 points (-3.0 to +4.0), on other")


def test_the_page_tells_what_the_terminal_does_and_loads_nothing(workspace, tmp_path, capsys):
    command = ["compare", "a", "b", "d", "--workspace", str(workspace.root)]
    assert main([*command, "--html", str(tmp_path / "page.html")]) == 0
    told = capsys.readouterr().out
    page = Page((tmp_path / "page.html").read_text())

    for words in (
        "train.epochs  12     20     12",
        "80.0% (77.4% to 82.4%)",
        "better by 10.0 points (8.1 to 11.8)",
        CAUTION,
    ):
        assert " ".join(words.split()) in " ".join(told.split())
    assert "80.0% (77.4% to 82.4%)" in page.words("td") and CAUTION in page.words("p")
    assert page.words("th", scope="col")[:4] == ["setting", "a", "b", "d"]
    assert not any(attributes.get("src") or attributes.get("href") for _, attributes, _ in page.elements)
    assert main([*command, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["settings"]["train.epochs"] == [12, 20, 12]


def test_the_curves_lie_over_each_other(workspace):
    facts = compared(workspace, "a", "b")
    for run, top1 in zip(facts["runs"], (0.5, 0.75), strict=True):
        run["history"] = [{"epoch": 1, "val_top1": 0.25}, {"epoch": 2, "val_top1": top1}]

    page = Page(render(facts))

    assert [label for label in page.words("text") if label.startswith(("a:", "b:"))] == ["a: 50.0%", "b: 75.0%"]
    assert "val_top1 by epoch of 2 runs" in [attributes["aria-label"] for _, attributes, _ in page.find("svg")]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["a"], "compare takes two runs or more"),
        (["a", "e"], "no run 'e'"),
        (["a", "b", "--html", "/no/such/folder/page.html"], "--html /no/such/folder/page.html: cannot be written"),
    ],
)
def test_what_cannot_be_compared_is_told(workspace, capsys, arguments, told):
    assert main(["compare", *arguments, "--workspace", str(workspace.root)]) == 2
    assert told in capsys.readouterr().err
