"""Confidence intervals of shares, and of the difference of two that were counted on the same images."""

from dataclasses import dataclass
from math import sqrt
from statistics import NormalDist

CONFIDENCE = 0.95

_Z = NormalDist().inv_cdf((1 + CONFIDENCE) / 2)
_ADDED = 0.5  # to each cell of the paired table


@dataclass(frozen=True)
class Change:
    """The change of a share: `estimate` and its interval from `low` to `high`, all from -1 to 1."""

    estimate: float
    low: float
    high: float


def paired_change(images: int, gained: int, lost: int) -> Change:
    """Returns the change of top-1 between two models on the same images, with the interval of Agresti and Min (2005).

    Half an image is added to each cell of the paired table, so that few or no differences do not look like certainty.

    Args:
        images: how many, more than none.
        gained: of them, those that only the second model has right.
        lost: of them, those that only the first has right.
    """
    total, up, down = images + 4 * _ADDED, gained + _ADDED, lost + _ADDED
    middle = (up - down) / total
    margin = _Z * sqrt(up + down - (up - down) ** 2 / total) / total
    return Change((gained - lost) / images, max(-1.0, middle - margin), min(1.0, middle + margin))


def share_interval(share: float, count: int) -> tuple[float, float]:
    """Returns the interval of Wilson (1927) of a share that was found in `count` images, more than none."""
    spread = _Z**2 / count
    middle = (share + spread / 2) / (1 + spread)
    margin = _Z * sqrt(share * (1 - share) / count + spread / (4 * count)) / (1 + spread)
    return max(0.0, middle - margin), min(1.0, middle + margin)


def unpaired_change(first: tuple[float, int], second: tuple[float, int]) -> Change:
    """Returns the change from one share to another, each of other images, with the interval of Newcombe (1998).

    first, second: a share, and of how many images, more than none.
    """
    (low1, high1), (low2, high2) = share_interval(*first), share_interval(*second)
    estimate = second[0] - first[0]
    down = sqrt((second[0] - low2) ** 2 + (high1 - first[0]) ** 2)
    up = sqrt((high2 - second[0]) ** 2 + (first[0] - low1) ** 2)
    return Change(estimate, max(-1.0, estimate - down), min(1.0, estimate + up))
