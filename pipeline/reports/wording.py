"""How shares and their changes are written for people, with intervals of 95%."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from charts.formats import percent
from components.evaluator.intervals import share_interval
from components.lite.report import LiteFile, LiteReport
from pipeline.runs.results import TITLES
from pipeline.runs.run_result import RunResult
from pipeline.runs.search import describe_search


def share(value: float, count: int) -> str:
    """Returns for example `93.1% (91.4% to 94.5%)` of a share of `count` images."""
    low, high = share_interval(value, count)
    return f"{percent(value)} ({percent(low)} to {percent(high)})"


def describe(change: Mapping[str, float]) -> str:
    """Returns for example `better by 1.2 points (0.4 to 2.0)`, of a change with `estimate`, `low` and `high`."""
    estimate, low, high = (100 * change[name] for name in ("estimate", "low", "high"))
    if low > 0:
        return f"better by {estimate:.1f} points ({low:.1f} to {high:.1f})"
    if high < 0:
        return f"worse by {-estimate:.1f} points ({-high:.1f} to {-low:.1f})"
    return f"no difference can be told: {estimate:+.1f} points ({low:+.1f} to {high:+.1f})"


def conclusion(result: RunResult) -> str:
    """Returns the last line of a run that ended well, or the reason why its model was not pushed."""
    if result.search is not None:
        return describe_search(result.search)
    quality = describe_metrics(result.metrics)
    version = result.pushed_version
    if version is None or result.destination is None:
        return f"not pushed: {'; '.join(result.reasons) or 'the model was not blessed'}"
    measured = f"{quality} on the test split" if quality else "its quality was not measured"
    folder = Path(result.destination).parent
    if result.new:
        return f"Pushed version {version} to {folder}: {measured}."
    return f"Nothing new to push: version {version} in {folder} is this model ({measured})."


def describe_metrics(metrics: Mapping[str, Any]) -> str:
    """Returns for example `top-1 93.1%, top-5 99.8%`; only shares that the gate knows are told."""
    return ", ".join(f"{title} {percent(metrics[name])}" for name, title in TITLES.items() if name in metrics)


def describe_lite(report: Mapping[str, Any]) -> dict[str, str]:
    """Returns, by TFLite file, what was measured of it, and why it was not pushed if it was not."""
    if not report:
        return {}
    found = LiteReport.from_dict(report)
    return {file.name: _describe_lite(file, found.images) for file in found.files}


def _describe_lite(file: LiteFile, images: int) -> str:
    products = f", {file.float32_products} of its products in float32" if file.float32_products else ""
    measured = (
        f"{file.bytes / 1e6:.2f} MB{products}, the model's class on {file.agreement:.2%} of {images:,} images, "
        f"{file.latency_ms:g} ms an image on one core"
    )
    return measured if file.rejected is None else f"not pushed: it {file.rejected} ({measured})"
