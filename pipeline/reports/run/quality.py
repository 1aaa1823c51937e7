"""The part of the report on what was measured of the model on the test split, and what the gates said."""

from collections.abc import Sequence
from typing import Any

from charts import line_chart
from charts.formats import percent
from charts.line_chart import Axes, Series
from charts.markup import definitions, element, escape, note, scrollable, section, table
from pipeline.reports import wording
from pipeline.reports.run.facts import Facts, name_of
from pipeline.reports.run.pictures import picture
from pipeline.reports.wording import describe_lite
from pipeline.runs.predictions import Predictions


def render(facts: Facts, predictions: Predictions | None) -> str:
    """Returns the section."""
    metrics = facts["metrics"]
    if not metrics:
        return section("Quality", note("The run did not come to measure a model."), id="quality")
    parts = (_gates(facts), _confusion(metrics, facts["class_names"]), _robustness(metrics), _calibration(facts))
    return section(
        "Quality",
        note("Measured on the test split, which neither training nor the search reads."),
        definitions(_figures(metrics) | _latency(facts) | _lite(facts)),
        _classes(metrics, facts["class_names"]),
        *parts,
        _mistakes(facts, predictions) if predictions else "",
        id="quality",
    )


def _figures(metrics: dict[str, Any]) -> dict[str, str]:
    losses = {"Loss": metrics.get("loss"), "Expected calibration error": metrics.get("ece")}
    return (
        {"Top-1, with its interval of 95%": wording.share(metrics["top1"], metrics["examples"])}
        | ({"Change of top-1 from the baseline": _change(metrics["top1_change"])} if "top1_change" in metrics else {})
        | {"Top-5": percent(metrics["top5"])}
        | {name: "not a number" if value is None else f"{value:.4g}" for name, value in losses.items()}
        | {"Test images": f"{metrics['examples']:,}"}
    )


def _change(change: dict[str, Any]) -> str:
    return f"{wording.describe(change)}; {change['gained']:,} images gained, {change['lost']:,} lost"


def _latency(facts: Facts) -> dict[str, str]:
    return {
        f"Latency of {count} at once": f"{value:g} ms, the median on the CPU"
        for count, value in facts["latency_ms"].items()
    }


def _lite(facts: Facts) -> dict[str, str]:
    return {f"TFLite, {name}": told for name, told in describe_lite(facts["lite"]).items()}


def _gates(facts: Facts) -> str:
    reasons = [element("li", escape(reason)) for reason in facts["reasons"] or []]
    verdict = (
        element("p", "The model was not pushed, because:") + element("ul", *reasons)
        if reasons
        else element("p", "The Evaluator and the Canary have blessed the model: it kept every bound.")
    )
    bounds = {
        f"{group}.{name}": str(value)
        for group in ("evaluate", "canary")
        for name, value in facts["config"].get(group, {}).items()
    }
    told = element("details", element("summary", "The bounds of this run"), definitions(bounds))
    return element("h3", "What the gates said") + verdict + told


def _classes(metrics: dict[str, Any], names: Sequence[str]) -> str:
    confusion = metrics.get("confusion", [])
    if not confusion:
        return ""
    rows = [_class_row(confusion, names, k) for k in range(len(confusion))]
    headings = ["class", "images", "top-1 (95% interval)", "right of those answered so", "most often taken for"]
    return element("h3", "Each class") + table("Quality of each class", headings, rows)


def _class_row(confusion: Sequence[Sequence[int]], names: Sequence[str], k: int) -> list[str]:
    images, answered = sum(confusion[k]), sum(row[k] for row in confusion)
    others = [(count, j) for j, count in enumerate(confusion[k]) if j != k and count]
    most, other = max(others, key=lambda entry: entry[0], default=(0, k))
    return [
        escape(name_of(names, k)),
        f"{images:,}",
        wording.share(confusion[k][k] / images, images) if images else "no images",
        f"{percent(confusion[k][k] / answered)} of {answered:,}" if answered else "never answered",
        escape(f"{name_of(names, other)} ({most})") if most else "",
    ]


def _confusion(metrics: dict[str, Any], names: Sequence[str]) -> str:
    confusion = metrics.get("confusion", [])
    if not confusion:
        return ""
    rows = [
        [
            escape(name_of(names, true)),
            *(_cell(count, max(sum(row), 1), true == answered) for answered, count in enumerate(row)),
        ]
        for true, row in enumerate(confusion)
    ]
    headings = ["true class", *(escape(name_of(names, k)) for k in range(len(confusion)))]
    caption = "Images of each true class (rows) by answered class (columns)"
    return element("h3", "Confusion") + table(caption, headings, rows)


def _cell(count: int, images: int, right: bool) -> str:
    return element(
        "span", f"{count:,}", class_="heat" if right else "heat miss", style=f"--share: {count / images:.3f}"
    )


def _robustness(metrics: dict[str, Any]) -> str:
    corrupted = metrics.get("corrupted_top1", {})
    if not corrupted:
        return ""
    rows = [["none", f"{metrics['examples']:,}", wording.share(metrics["top1"], metrics["examples"])]] + [
        [escape(name), f"{found['examples']:,}", wording.share(found["top1"], found["examples"])]
        for name, found in corrupted.items()
    ]
    caption = "Top-1 on corrupted copies of the test images"
    return element("h3", "Robustness") + table(caption, ["corruption", "images", "top-1 (95% interval)"], rows)


def _calibration(facts: Facts) -> str:
    bins = facts["calibration"]
    if not bins:
        return ""
    points = [(found["confidence"], found["top1"]) for found in bins]
    series = [
        Series("as confident as right", [(0, 0), (1, 1)], "as confident as right", "first"),
        Series("the model", points, "the model", "best", markers=True),
    ]
    tenths = Axes("mean confidence of a bin", "top-1", "{:.0%}".format, _tenths, "{:.0%}".format, x_min=0, x_max=1)
    rows = [
        [
            f"{found['low']:.2f} to {found['high']:.2f}",
            f"{found['images']:,}",
            f"{found['confidence']:.1%}",
            wording.share(found["top1"], found["images"]),
        ]
        for found in bins
    ]
    headings = ["confidence", "images", "mean confidence", "top-1 (95% interval)"]
    return (
        element("h3", "Calibration")
        + note("Below the diagonal it is surer than right. Bins of few images say little: see their intervals.")
        + scrollable(
            "Calibration",
            line_chart.draw(series, tenths, "Share of right answers by confidence; the table has the figures"),
        )
        + element("details", element("summary", "The same in figures"), table("Bins of confidence", headings, rows))
    )


def _tenths(low: float, high: float) -> list[float]:
    return [tenth / 10 for tenth in range(0, 11, 2)]


def _mistakes(facts: Facts, predictions: Predictions) -> str:
    if not facts["mistakes"]:
        return element("h3", "Most confident mistakes") + element("p", "Every answer on the test split is right.")
    figures = [
        _figure(mistake, pixels, facts["class_names"])
        for mistake, pixels in zip(facts["mistakes"], predictions.mistake_images, strict=True)
    ]
    wrong = int((~predictions.right).sum())
    told = note(
        f"{len(figures)} of {wrong:,} wrong answers, the most confident first. Number: position in the test split."
    )
    return element("h3", "Most confident mistakes") + told + element("ul", *figures, class_="pictures")


def _figure(mistake: dict[str, Any], pixels, names: Sequence[str]) -> str:
    true, answered = name_of(names, mistake["label"]), name_of(names, mistake["answer"])
    told = f"{answered}, {mistake['confidence']:.1%} sure; it is {true}"
    image = picture(pixels, f"Test image {mistake['position']:,}: answered {told}")
    caption = element("figcaption", escape(f"#{mistake['position']:,}: {told}"))
    return element("li", element("figure", image, caption))
