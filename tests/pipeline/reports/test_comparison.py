import json

import pytest
from html_page import Page
from made_runs import make_predictions, make_run

from pipeline.cli.main import main
from pipeline.reports.comparison.compare import CAUTION, compare
from pipeline.reports.comparison.document import render
from pipeline.runs.workspace import Workspace

LABELS = [0, 1] * 500


def answers_with_mistakes(count):
    return [1 - label if number < count else label for number, label in enumerate(LABELS)]


@pytest.fixture
def workspace(tmp_path):
    """Run a has 200 of 1,000 answers wrong, b 100, c 195 on other images; d has no evaluated model."""
    workspace = Workspace(tmp_path)
    make_run(workspace, "a", make_predictions(LABELS, answers_with_mistakes(200)))
    settings = ["train.epochs=20", "model.dims=16,32"]
    make_run(workspace, "b", make_predictions(LABELS, answers_with_mistakes(100)), settings)
    make_run(workspace, "c", make_predictions(LABELS, answers_with_mistakes(195), split="other"))
    make_run(workspace, "d")
    return workspace


def compare_runs(workspace, *run_ids):
    folders = {folder.id: folder for folder in workspace.run_folders()}
    return compare(workspace, [folders[run_id] for run_id in run_ids])


def test_differing_settings_have_dotted_names(workspace):
    settings = compare_runs(workspace, "a", "b").settings

    assert settings == {"model.dims": [[32, 64], [16, 32]], "train.epochs": [12, 20]}
    assert compare_runs(workspace, "a", "a").settings == {}


def test_answers_to_the_same_images_are_paired(workspace):
    better, worse = compare_runs(workspace, "a", "b"), compare_runs(workspace, "b", "a")

    assert better.sentences() == [
        "b against a: better by 10.0 points (8.1 to 11.8), on the same 1,000 test images: 100 gained, 0 lost.",
        CAUTION,
    ]
    assert worse.sentences()[0].startswith("a against b: worse by 10.0 points (8.1 to 11.8), on the same 1,000")


def test_answers_to_other_images_are_unpaired_with_a_wider_interval(workspace):
    (paired,) = compare_runs(workspace, "a", "b").changes
    comparison = compare_runs(workspace, "b", "c", "d")
    unpaired, none = comparison.changes
    sentences = comparison.sentences()

    assert unpaired.images == 0 and "images" not in unpaired.to_dict()
    assert unpaired.change.high - unpaired.change.low > 1.4 * (paired.change.high - paired.change.low)
    assert sentences[0].startswith("c against b: worse by 9.5 points (") and "unpaired" in sentences[0]
    assert none is None
    assert sentences[1] == "d against b: cannot be compared, because one of the two runs has no evaluated model."


def test_change_whose_interval_contains_zero_is_not_significant(workspace):
    sentences = compare_runs(workspace, "a", "c").sentences()

    assert sentences[0] == "All settings are the same, so any difference is chance."
    assert sentences[1].startswith("c against a: no significant difference: +0.5 points (-3.0 to +4.0); unpaired")


def test_terminal_page_and_json_agree(workspace, tmp_path, capsys):
    command = ["compare", "a", "b", "d", "--workspace", str(workspace.root)]
    assert main([*command, "--html", str(tmp_path / "page.html")]) == 0
    printed = " ".join(capsys.readouterr().out.split())
    page = Page((tmp_path / "page.html").read_text())

    for text in ("train.epochs 12 20 12", "80.0% (77.4% to 82.4%)", "better by 10.0 points (8.1 to 11.8)", CAUTION):
        assert text in printed
    assert "80.0% (77.4% to 82.4%)" in page.texts("td") and CAUTION in page.texts("p")
    assert page.texts("th", scope="col")[:4] == ["setting", "a", "b", "d"]
    assert main([*command, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["settings"]["train.epochs"] == [12, 20, 12]


def test_top5_is_compared_only_if_a_run_has_it(workspace):
    make_run(workspace, "e", metrics=compare_runs(workspace, "a").runs[0].metrics | {"top5": 0.95})

    assert "top-5" not in compare_runs(workspace, "a", "b").quality()
    assert compare_runs(workspace, "a", "b").quality()["macro-F1"] == ["80.0%", "90.0%"]
    assert compare_runs(workspace, "a", "e").quality()["top-5"] == ["", "95.0%"]


def test_page_loads_nothing(workspace):
    page = Page(render(compare_runs(workspace, "a", "b")))

    assert not any(attributes.get("src") or attributes.get("href") for _, attributes, _ in page.elements)


def test_learning_curves_of_all_runs_share_a_chart(workspace):
    comparison = compare_runs(workspace, "a", "b")
    for run, top1 in zip(comparison.runs, (0.5, 0.75), strict=True):
        vars(run)["history"] = [{"epoch": 1, "val_top1": 0.25}, {"epoch": 2, "val_top1": top1}]  # the cached property
    page = Page(render(comparison))

    assert [label for label in page.texts("text") if label.startswith(("a:", "b:"))] == ["a: 50.0%", "b: 75.0%"]
    labels = [attributes["aria-label"] for _, attributes, _ in page.find("svg")]
    assert "top-1 on the eval split by epoch, 2 runs" in labels


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["a"], "compare needs the ids of two or more runs"),
        (["a", "e"], "no run 'e'"),
        (["a", "b", "--html", "/no/such/folder/page.html"], "--html /no/such/folder/page.html: cannot write there"),
    ],
)
def test_impossible_comparison_is_refused(workspace, capsys, arguments, message):
    assert main(["compare", *arguments, "--workspace", str(workspace.root)]) == 2
    assert message in capsys.readouterr().err
