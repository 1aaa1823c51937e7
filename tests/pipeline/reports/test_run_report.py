import dataclasses
import itertools
import json
import re
from pathlib import Path
from xml.etree import ElementTree

import pytest
from html_page import Page
from made_runs import CLASS_NAMES, make_metrics, make_predictions, make_run

from pipeline.config.presets import quickstart
from pipeline.reports.details import RunDetails
from pipeline.reports.run.contents import ReportContents, bin_by_confidence
from pipeline.reports.run.document import render, try_write
from pipeline.runs.lineage import Artifact, Execution, Step
from pipeline.runs.run import Run
from pipeline.runs.run_result import RunResult
from pipeline.runs.workspace import RunFolder, Workspace
from shiftvit.config import to_dict

LABELS = [0] * 60 + [1] * 40
ANSWERS = [0] * 50 + [1] * 10 + [1] * 40
CONFIDENCES = [0.9] * 50 + [0.99] * 10 + [0.6] * 40
PREDICTIONS = make_predictions(LABELS, ANSWERS, CONFIDENCES)
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
CHANGE = {"estimate": -0.1, "low": -0.2, "high": -0.01, "gained": 1, "lost": 11}
RESULT = RunResult(
    reasons=["top-1 of class <0> is too low"],
    metrics=make_metrics(PREDICTIONS, top1_change=CHANGE),
    latency_ms={"1": 12.5},
    pushed_version="7",
    destination="<there>/7",
    new=True,
    machine=MACHINE,
)
EXAMPLES = Artifact(1, "Examples", "w/examples", {"class_names": json.dumps(CLASS_NAMES)})
MEASURED = Artifact(
    2,
    "DataBlessing",
    "w/gate",
    {
        "train_class_counts": "[6, 2]",
        "test_class_counts": "[60, 40]",
        "train_duplicates": 1,
        "test_label_drift": 0.25,
    },
)
MODEL = Artifact(3, "Model", "w/model", {"a": 1})


def execution(number, node, state, *outputs):
    return Execution(number, node, "r", state, 1.8e9, 60.0 * number, {}, {"output": outputs})


EXECUTIONS = (
    execution(1, "Ingest", "cached", EXAMPLES),
    execution(2, "DataGate", "complete", MEASURED),
    execution(3, "Trainer", "failed", MODEL),
)
CONTENTS = ReportContents(
    RunDetails(
        Run(
            folder=RunFolder(Path("w/runs/20261123-153012")),
            state="complete",
            message=None,
            seconds=61.0,
            config=to_dict(quickstart()),
            result=RESULT,
            executions=EXECUTIONS,
        ),
        lineage=[Step(MODEL, EXECUTIONS[-1], (EXAMPLES,), MODEL.facts)],
        search=None,
        anomalies=["eval, label: out of <range>"],
    ),
    graph={"Ingest": [], "DataGate": ["Ingest"], "Trainer": ["DataGate"]},
    history=HISTORY,
    experiment={"train": {"learning_rate": 0.003}},
    predictions=PREDICTIONS,
)
FAILED_EARLY = ReportContents(
    RunDetails(
        dataclasses.replace(
            CONTENTS.run,
            state="failed",
            message="it failed",
            result=None,
            executions=[execution(1, "Ingest", "failed")],
        ),
        lineage=[],
        search=None,
        anomalies=[],
    )
)


def with_result(**changes):
    """Returns the contents with a result that differs."""
    run = dataclasses.replace(CONTENTS.run, result=dataclasses.replace(RESULT, **changes))
    return dataclasses.replace(CONTENTS, details=dataclasses.replace(CONTENTS.details, run=run))


@pytest.fixture(scope="module")
def page():
    return Page(render(CONTENTS))


@pytest.fixture(scope="module", params=[CONTENTS, FAILED_EARLY], ids=["complete", "failed early"])
def markup(request):
    return render(request.param)


def test_page_has_no_scripts_and_loads_nothing(markup):
    addresses = re.findall(r"""(?:src|href|srcset|action)\s*=\s*"([^"]*)""", markup)

    assert addresses and all(address.startswith(("data:image/png;base64,", "#")) for address in addresses)
    assert re.findall(r"url\(|@import|<(?:link|script|iframe|object)", markup) == []
    assert "content=\"default-src 'none'; img-src data:; style-src 'unsafe-inline'\"" in markup


def test_page_is_accessible(markup):
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
    assert all(text for text in page.texts("th")) and len(page.find("caption")) == len(page.find("table"))
    assert all(a["role"] == "img" and a["aria-label"] for _, a, _ in page.find("svg"))
    assert all(a["tabindex"] == "0" and a["aria-label"] for _, a, _ in page.find("div", **{"class": "scroll"}))


def test_text_from_the_run_is_escaped(markup):
    drawings = re.findall("<svg.*?</svg>", markup, re.DOTALL)

    assert all(ElementTree.fromstring(drawing) is not None for drawing in drawings)
    assert not any(text in markup for text in ("<there>", "<range>", "<0>", "<fast>"))
    assert Page(markup).find("i") == []


def test_figures_have_intervals_and_the_change_from_the_baseline(page):
    figures = dict(zip(page.texts("dt"), page.texts("dd"), strict=True))

    assert figures["Top-1 (95% interval)"] == "90.0% (82.6% to 94.5%)"
    assert figures["Macro-F1"] == "89.9%"
    assert "Top-5" not in figures and "evaluate.min_top5" not in figures, "there are two classes"
    assert figures["evaluate.min_top1"] == "0.9" and figures["evaluate.beat_commonest"] == "false"
    assert figures["Change from the baseline"] == "worse by 10.0 points (1.0 to 20.0); 1 image gained, 11 lost"
    assert figures["Latency, batch of 1"] == "12.5 ms, median on the CPU"
    assert figures["Energy"].startswith("unknown")


@pytest.mark.parametrize(
    "row",
    [
        "cat | 60 | 83.3% (72.0% to 90.7%) | 100.0% of 50 answers | 90.9% | dog & <i>wolf</i> (10)",
        "dog & <i>wolf</i> | 40 | 100.0% (91.2% to 100.0%) | 80.0% of 50 answers | 88.9% | ",
        "cat | 50 | 10",  # of the confusion matrix
        "blur | 40 | 50.0% (35.2% to 64.8%)",
        "cat | 6 (75.0%) | 60 (60.0%)",
        "all classes | 8 | 100",
        "duplicates | 1 |  | ",
        "label drift |  |  | 0.25",
        "train.learning_rate | 0.002 | 0.003",
        "2 | 1 | 0.6 | 1.25 | 0.625 | 0",
        "#3 Model | Trainer, run r | #1 | a = 1 | w/model",
    ],
)
def test_tables_have_the_row(page, row):
    assert row in [" | ".join(cells) for cells in page.rows()]


def test_many_classes_have_a_table_of_the_largest_confusions_in_place_of_the_matrix():
    classes = 300
    confusion = [[int(k == j) * 8 for j in range(classes)] for k in range(classes)]
    confusion[7][9] = 2
    metrics = RESULT.metrics | {"confusion": confusion, "class_top1": [0.8] * classes}

    markup = render(with_result(metrics=metrics))

    assert "Confusion matrix" not in markup and len(markup) < 500_000
    assert ["7", "9", "2 of 10"] in Page(markup).rows()


def test_image_files_that_were_left_out_are_listed():
    details = dataclasses.replace(CONTENTS.details, bad_images=["cat/<b>.jpg: not an image"])

    page = Page(render(dataclasses.replace(CONTENTS, details=details)))

    assert "cat/<b>.jpg: not an image" in page.texts("li")


def test_reasons_for_not_pushing_are_listed(page):
    assert "top-1 of class <0> is too low" in page.texts("li")


def test_mistakes_are_images_with_the_answer_and_the_true_class(page):
    descriptions = [attributes["alt"] for _, attributes, _ in page.find("img") if "Test image" in attributes["alt"]]

    assert len(descriptions) == 10
    assert descriptions[0] == "Test image 50: answered dog & <i>wolf</i> (99.0%), true class cat"
    assert any(text.startswith("10 of 10 wrong answers") for text in page.texts("p", **{"class": "note"}))


def test_report_of_a_run_that_failed_early_says_what_is_missing():
    page = Page(render(FAILED_EARLY))
    paragraphs = " ".join(page.texts("p"))

    assert page.texts("p", **{"class": "headline"}) == ["it failed"]
    assert "did not get as far as evaluating a model" in paragraphs
    assert "no training history" in paragraphs
    assert "did not get as far as counting the classes" in paragraphs
    assert "did not get past the data gate" in paragraphs
    assert "trained as configured" not in paragraphs
    assert page.find("img") == []


def test_measured_energy_is_in_kilowatt_hours():
    page = Page(render(with_result(machine=MACHINE | {"processor_joules": 3.6e6})))

    assert any(text.startswith("1.000 kWh by all processors") for text in page.texts("dd"))


def test_calibration_bins_leave_out_answers_without_a_confidence():
    low, high = bin_by_confidence(make_predictions([0, 0, 0, 1], [0, 1, 0, 1], [0.9, 0.92, 0.5, float("nan")]))

    assert (low.images, low.confidence, low.top1) == (1, 0.5, 1.0)
    assert (high.images, high.top1) == (2, 0.5) and high.confidence == pytest.approx(0.91)
    assert (high.low, high.high) == pytest.approx((13 / 15, 14 / 15))


def test_report_that_cannot_be_written_is_a_line(tmp_path):
    workspace = Workspace(tmp_path)
    folder = make_run(workspace, "a", PREDICTIONS)
    assert try_write(workspace, folder) == "", "no component has run, so there is nothing to report"
    folder.predictions.write_bytes(b"damaged")

    line = try_write(workspace, folder)

    assert line.startswith("The report was not written: ") and line.endswith("try again with `shiftvit report a`.")
    assert not folder.report.exists()
