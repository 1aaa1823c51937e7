"""The section on the model's quality on the test split: metrics, gates, classes, robustness, calibration, mistakes."""

import numpy as np

from charts import line_chart
from charts.formats import count, percent, significant
from charts.line_chart import Axes, Series
from charts.markup import definitions, element, escape, note, scrollable, section, table
from components.evaluator.class_scores import ClassScores, Confusion, class_scores
from pipeline.reports.run.contents import ReportContents
from pipeline.reports.run.pictures import picture
from pipeline.reports.wording import WITH_INTERVAL, describe_lite, describe_share, format_metrics
from pipeline.runs.predictions import Predictions
from pipeline.runs.run import Run
from shiftvit.metrics import F1, PRECISION, TITLES, TOP1, TOP5

_MATRIX_CLASSES = 50  # with more, the confusion matrix is a table of its largest entries
_FREQUENT = 30  # entries of that table


def render(contents: ReportContents) -> str:
    """Returns the section."""
    run = contents.run
    if not run.metrics:
        return section("Quality", note("The run did not get as far as evaluating a model."), id="quality")
    return section(
        "Quality",
        note("Measured on the test split, which neither the training nor the search reads."),
        definitions(_metrics(run) | _latency(run) | _lite(run)),
        _classes(run),
        _gates(run),
        _confusion(run),
        _robustness(run),
        _calibration(contents),
        _mistakes(contents, contents.predictions) if contents.predictions else "",
        id="quality",
    )


def _metrics(run: Run) -> dict[str, str]:
    return {title[0].upper() + title[1:]: figure for title, figure in format_metrics(run.metrics).items()}


def _latency(run: Run) -> dict[str, str]:
    latency = run.result.latency_ms if run.result else {}
    return {f"Latency, batch of {images}": f"{value:g} ms, median on the CPU" for images, value in latency.items()}


def _lite(run: Run) -> dict[str, str]:
    report = run.result.lite if run.result else {}
    return {f"TFLite, {name}": description for name, description in describe_lite(report).items()}


def _gates(run: Run) -> str:
    reasons = [element("li", escape(reason)) for reason in (run.result.reasons if run.result else ())]
    verdict = (
        element("p", "The model was not pushed, because:") + element("ul", *reasons)
        if reasons
        else element("p", "The Evaluator and the Canary blessed the model.")
    )
    thresholds = {
        f"{group}.{name}": significant(value)
        for group in ("evaluate", "canary")
        for name, value in run.config.get(group, {}).items()
        if name != "min_top5" or TOP5 in run.metrics
    }
    details = element("details", element("summary", "Thresholds of this run"), definitions(thresholds))
    return element("h3", "Gates") + verdict + details


def _classes(run: Run) -> str:
    confusion = run.metrics.get("confusion", [])
    if not confusion:
        return ""
    rows = [_class_row(confusion, run, k, scores) for k, scores in enumerate(class_scores(confusion))]
    headings = ["class", "images", WITH_INTERVAL, TITLES[PRECISION], TITLES[F1], "most often mistaken for"]
    return element("h3", "Classes") + table("Quality per class, whose top-1 is its recall", headings, rows)


def _class_row(confusion: Confusion, run: Run, k: int, scores: ClassScores) -> list[str]:
    mistakes = [(number, j) for j, number in enumerate(confusion[k]) if j != k and number]
    most, other = max(mistakes, key=lambda entry: entry[0], default=(0, k))
    return [
        escape(run.class_name(k)),
        f"{scores.images:,}",
        "no images" if scores.recall is None else describe_share(scores.recall, scores.images),
        f"{percent(scores.precision)} of {count(scores.answers, 'answer')}" if scores.answers else "never answered",
        percent(scores.f1),
        escape(f"{run.class_name(other)} ({most:,})") if most else "",
    ]


def _confusion(run: Run) -> str:
    confusion = run.metrics.get("confusion", [])
    if not confusion:
        return ""
    if len(confusion) > _MATRIX_CLASSES:
        return _frequent_confusions(confusion, run)
    rows = [
        [escape(run.class_name(k)), *(_cell(n, max(sum(row), 1), k == answered) for answered, n in enumerate(row))]
        for k, row in enumerate(confusion)
    ]
    headings = ["true class", *(escape(run.class_name(k)) for k in range(len(confusion)))]
    caption = "Images by true class (rows) and answered class (columns)"
    return element("h3", "Confusion matrix") + table(caption, headings, rows)


def _frequent_confusions(confusion: Confusion, run: Run) -> str:
    """Returns a table of the most frequent mistakes, for data with too many classes for a matrix."""
    pairs = [(n, k, j) for k, row in enumerate(confusion) for j, n in enumerate(row) if n and j != k]
    most = sorted(pairs, key=lambda pair: -pair[0])[:_FREQUENT]
    rows = [
        [escape(run.class_name(k)), escape(run.class_name(j)), f"{n:,} of {sum(confusion[k]):,}"] for n, k, j in most
    ]
    caption = f"{len(most)} of {count(len(pairs), 'pair')} of classes, of {len(confusion):,} classes"
    return element("h3", "Most frequent confusions") + table(caption, ["true class", "answered class", "images"], rows)


def _cell(number: int, images: int, right: bool) -> str:
    return element(
        "span", f"{number:,}", class_="heat" if right else "heat miss", style=f"--share: {number / images:.3f}"
    )


def _robustness(run: Run) -> str:
    corrupted = run.metrics.get("corrupted_top1", {})
    if not corrupted:
        return ""
    rows = [
        [escape(name), f"{metrics['examples']:,}", describe_share(metrics[TOP1], metrics["examples"])]
        for name, metrics in [("none", run.metrics), *corrupted.items()]
    ]
    caption = "Top-1 on corrupted copies of the test images"
    return element("h3", "Robustness") + table(caption, ["corruption", "images", WITH_INTERVAL], rows)


def _calibration(contents: ReportContents) -> str:
    bins = contents.calibration
    if not bins:
        return ""
    perfect = Series("perfect calibration", [(0, 0), (1, 1)], "perfect calibration", "first")
    model = Series("the model", [(each.confidence, each.top1) for each in bins], "the model", "best", markers=True)
    axes = Axes("mean confidence of a bin", TITLES[TOP1], "{:.0%}".format, _fifths, "{:.0%}".format, x_min=0, x_max=1)
    chart = line_chart.draw([perfect, model], axes, "Top-1 by confidence; the table below has the figures")
    rows = [
        [
            f"{each.low:.2f} to {each.high:.2f}",
            f"{each.images:,}",
            percent(each.confidence),
            describe_share(each.top1, each.images),
        ]
        for each in bins
    ]
    headings = ["confidence", "images", "mean confidence", WITH_INTERVAL]
    figures = element("details", element("summary", "Table of the bins"), table("Bins by confidence", headings, rows))
    explanation = note(
        "Below the diagonal the model is overconfident, above it underconfident. Bins with few images say little: "
        "see their intervals."
    )
    return element("h3", "Calibration") + explanation + scrollable("Calibration", chart) + figures


def _fifths(low: float, high: float) -> list[float]:
    return [0, 0.2, 0.4, 0.6, 0.8, 1]


def _mistakes(contents: ReportContents, saved: Predictions) -> str:
    heading = element("h3", "Most confident mistakes")
    wrong = int((~saved.right).sum())
    if not wrong:
        return heading + element("p", "Every answer on the test split is right.")
    images = zip(contents.mistakes, saved.mistake_images, strict=True)
    figures = [
        _figure(
            mistake.position,
            f"{contents.run.class_name(mistake.answer)} ({percent(mistake.confidence)}), "
            f"true class {contents.run.class_name(mistake.label)}",
            pixels,
        )
        for mistake, pixels in images
    ]
    explanation = note(
        f"{len(figures)} of {count(wrong, 'wrong answer')}, the most confident first. Numbers are positions in the "
        "test split."
    )
    return heading + explanation + element("ul", *figures, class_="pictures")


def _figure(position: int, description: str, pixels: np.ndarray) -> str:
    image = picture(pixels, f"Test image {position:,}: answered {description}")
    caption = element("figcaption", escape(f"#{position:,}: {description}"))
    return element("li", element("figure", image, caption))
