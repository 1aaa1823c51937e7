"""Sentences and figures that the terminal, the run report and the comparison share; all intervals are of 95%."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from charts.formats import count, percent, significant
from components.evaluator.intervals import Change, share_interval
from components.lite.report import LiteFile, LiteReport
from pipeline.runs.run_result import RunResult
from pipeline.runs.search import describe_search
from shiftvit.metrics import ECE, LOSS, MACRO_F1, SHARES, TITLES, TOP1, TOP5

WITH_INTERVAL = f"{TITLES[TOP1]} (95% interval)"


def describe_share(share: float, images: int) -> str:
    """Returns for example `93.1% (91.4% to 94.5%)`: a share of so many images, with its interval."""
    low, high = share_interval(share, images)
    return f"{percent(share)} ({percent(low)} to {percent(high)})"


def describe_change(change: Change) -> str:
    """Returns for example `better by 1.2 points (0.4 to 2.0)`: the change of a share, with its interval."""
    estimate, low, high = 100 * change.estimate, 100 * change.low, 100 * change.high
    if low > 0:
        return f"better by {estimate:.1f} points ({low:.1f} to {high:.1f})"
    if high < 0:
        return f"worse by {-estimate:.1f} points ({-high:.1f} to {-low:.1f})"
    return f"no significant difference: {estimate:+.1f} points ({low:+.1f} to {high:+.1f})"


def format_metrics(metrics: Mapping[str, Any]) -> dict[str, str]:
    """Returns a model's metrics on all test images by title, formatted.

    Args:
        metrics: as `components.evaluator.results.read_metrics` returns them; empty without a model.
    """
    if not metrics:
        return {}
    figures = {WITH_INTERVAL: describe_share(metrics[TOP1], metrics["examples"])}
    if "top1_change" in metrics:
        change = dict(metrics["top1_change"])
        gained, lost = change.pop("gained"), change.pop("lost")
        images = f"{count(gained, 'image')} gained, {lost:,} lost"
        figures["change from the baseline"] = f"{describe_change(Change(**change))}; {images}"
    figures |= {TITLES[name]: percent(metrics[name]) for name in (TOP5, MACRO_F1) if name in metrics}
    figures |= {TITLES[name]: format_loss(metrics[name]) for name in (LOSS, ECE)}
    return figures | {"test images": f"{metrics['examples']:,}"}


def format_loss(value: float | None) -> str:
    """Returns a loss or a calibration error with four digits; None, the Evaluator's NaN, as `not a number`."""
    return "not a number" if value is None else significant(value)


def conclusion(result: RunResult) -> str:
    """Returns the last line of a run: the best trial of a search, the pushed version, or why none was pushed."""
    if result.search is not None:
        return describe_search(result.search)
    if result.pushed_version is None or result.destination is None:
        return f"not pushed: {'; '.join(result.reasons) or 'the model was not blessed'}"
    top = describe_metrics(result.metrics)
    quality = f"{top} on the test split" if top else "its quality was not measured"
    folder = Path(result.destination).parent
    if result.new:
        return f"Pushed version {result.pushed_version} to {folder}: {quality}."
    return f"Nothing new to push: version {result.pushed_version} in {folder} is this model ({quality})."


def describe_metrics(metrics: Mapping[str, Any]) -> str:
    """Returns for example `top-1 93.1%, top-5 99.8%`; leaves out what is missing."""
    return ", ".join(f"{TITLES[name]} {percent(metrics[name])}" for name in SHARES if name in metrics)


def describe_lite(report: Mapping[str, Any]) -> dict[str, str]:
    """Returns, by TFLite file, its measurements and why it was not pushed, if it was not.

    Args:
        report: of the LiteExport node as plain data; empty without that node.
    """
    if not report:
        return {}
    measured = LiteReport.from_dict(report)
    return {file.name: _describe_lite_file(file, measured.images) for file in measured.files}


def _describe_lite_file(file: LiteFile, images: int) -> str:
    in_float = f" with {count(file.float32_products, 'product')} in float32" if file.float32_products else ""
    measured = (
        f"{file.bytes / 1e6:.2f} MB{in_float}, same class as the model on {file.agreement:.2%} of {images:,} images, "
        f"{file.latency_ms:g} ms per image on one core"
    )
    return measured if file.rejected is None else f"not pushed: it {file.rejected} ({measured})"
