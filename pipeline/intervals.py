"""How shares and their changes are written for people, with intervals of 95%."""

from collections.abc import Mapping

from components.evaluator.intervals import share_interval
from pipeline.report import percent


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
