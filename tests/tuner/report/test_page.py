import re
from xml.etree import ElementTree

import pytest
from html_page import Page
from made_results import NORM, SEARCHES, failed_trial, make_results, make_trial

from tuner.report.document import render

HEADINGS = [
    ("h1", "Hyperparameter search"),
    ("h2", "The search"),
    ("h2", "Leaderboard"),
    ("h2", "Failed and stopped trials"),
    ("h2", "Learning curves"),
    ("h2", "Which hyperparameter mattered"),
    ("h2", "All settings side by side"),
    ("h2", "Cost"),
]


@pytest.mark.parametrize("results", SEARCHES.values(), ids=SEARCHES)
def test_every_report_is_well_formed_and_has_all_headings(results):
    document = render(results)
    page = Page(document)

    assert [(tag, text) for tag, _, text in page.elements if re.fullmatch("h[1-6]", tag)] == HEADINGS
    for drawing in re.findall("<svg.*?</svg>", document, re.DOTALL):
        ElementTree.fromstring(drawing)
        assert "nan" not in drawing.lower()


def test_markup_in_the_results_is_escaped():
    hostile = "<script>alert('\"&')</script>\x1b[31m"
    trials = [
        make_trial(hostile, values={hostile: hostile}, worker=hostile, objective=hostile),
        failed_trial("01", hostile, values={hostile: hostile}),
    ]
    document = render(
        make_results(*trials, objective=hostile, space=[type(NORM)(hostile, hostile, (hostile, "other"))])
    )

    page = Page(document)
    assert page.find("script") == []
    assert "\x1b" not in document
    assert "<script>alert('\"&')</script> [31m" in page.texts("td")
    assert all(len(ElementTree.fromstring(drawing)) for drawing in re.findall("<svg.*?</svg>", document, re.DOTALL))


def test_the_report_loads_no_resources():
    document = render(SEARCHES["all states"])

    assert (
        re.findall(r"\b(?:src|href|srcset|action)\s*=|url\(|@import|<(?:link|script|iframe|img|object)", document) == []
    )
    assert "://" not in document
    assert "content=\"default-src 'none'; img-src data:; style-src 'unsafe-inline'\"" in document


def test_the_report_is_accessible_to_screen_readers_and_keyboards():
    page = Page(render(SEARCHES["all states"]))

    assert page.find("html")[0][1]["lang"] == "en"
    assert page.texts("title")[0] == "Hyperparameter search: val_top1"
    assert len(page.find("main")) == 1
    assert all(attributes["scope"] in ("col", "row") for _, attributes, _ in page.find("th"))
    boxes = page.find("div", **{"class": "scroll"})
    assert len(boxes) == 7  # three tables and four charts
    assert all(attributes["tabindex"] == "0" and attributes["aria-label"] for _, attributes, _ in boxes)
    drawings = page.find("svg")
    assert len(drawings) == 4
    assert all(attributes["role"] == "img" and attributes["aria-label"] for _, attributes, _ in drawings)
    assert all(attributes["viewbox"] for _, attributes, _ in drawings)


def luminance(colour):
    digits = colour[1:] if len(colour) == 7 else "".join(digit * 2 for digit in colour[1:])
    parts = [int(digits[i : i + 2], 16) / 255 for i in (0, 2, 4)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("scheme", [0, 1], ids=["light", "dark"])
def test_text_has_sufficient_contrast(scheme):
    colours = dict(
        re.findall(r"--(\w+): (#\w+)", render(SEARCHES["single"]).split(":root {")[1 + scheme].split("}")[0])
    )

    for ink, background in [
        ("ink", "paper"),
        ("ink", "band"),
        ("ink", "mark"),
        ("muted", "paper"),
        ("muted", "band"),
        ("best", "paper"),
        ("first", "paper"),
    ]:
        light, dark = sorted((luminance(colours[ink]), luminance(colours[background])), reverse=True)
        assert (light + 0.05) / (dark + 0.05) >= 4.5, (ink, background)


@pytest.mark.parametrize("scheme", [0, 1], ids=["light", "dark"])
def test_better_scores_have_more_contrast(scheme):
    colours = dict(
        re.findall(r"--(\w+): (#\w+)", render(SEARCHES["single"]).split(":root {")[1 + scheme].split("}")[0])
    )

    contrast = [abs(luminance(colours[f"s{shade}"]) - luminance(colours["paper"])) for shade in range(7)]

    assert contrast == sorted(contrast)
