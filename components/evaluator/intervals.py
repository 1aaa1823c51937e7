"""Confidence intervals of proportions, and of the difference of two, paired or not. Standard library only."""

from dataclasses import dataclass
from math import sqrt
from statistics import NormalDist

CONFIDENCE = 0.95

_Z = NormalDist().inv_cdf((1 + CONFIDENCE) / 2)
_PSEUDO_COUNT = 0.5  # added to each cell of the paired table


@dataclass(frozen=True)
class Change:
    """The difference of two proportions and its confidence interval, all from -1 to 1."""

    estimate: float
    low: float
    high: float


def paired_change(images: int, gained: int, lost: int) -> Change:
    """Returns the change of top-1 between two models on the same images, with the interval of Agresti and Min (2005).

    Half an image is added to each cell of the paired table, so that the interval does not collapse when the models
    differ on few images or none.

    Args:
        images: number of images, at least 1.
        gained: images that only the second model classifies right.
        lost: images that only the first model classifies right.
    """
    total, up, down = images + 4 * _PSEUDO_COUNT, gained + _PSEUDO_COUNT, lost + _PSEUDO_COUNT
    center = (up - down) / total
    margin = _Z * sqrt(up + down - (up - down) ** 2 / total) / total
    return Change((gained - lost) / images, max(-1.0, center - margin), min(1.0, center + margin))


def share_interval(share: float, count: int) -> tuple[float, float]:
    """Returns the score interval (Wilson, 1927) of a proportion that was observed in `count` images, at least 1."""
    spread = _Z**2 / count
    center = (share + spread / 2) / (1 + spread)
    margin = _Z * sqrt(share * (1 - share) / count + spread / (4 * count)) / (1 + spread)
    return max(0.0, center - margin), min(1.0, center + margin)


def unpaired_change(first: tuple[float, int], second: tuple[float, int]) -> Change:
    """Returns the change between proportions of independent images, with the score interval of Newcombe (1998).

    Args:
        first: a proportion, and the number of images, at least 1, that it was observed in.
        second: the same for the proportion to compare it with.
    """
    (low1, high1), (low2, high2) = share_interval(*first), share_interval(*second)
    estimate = second[0] - first[0]
    down = sqrt((second[0] - low2) ** 2 + (high1 - first[0]) ** 2)
    up = sqrt((high2 - second[0]) ** 2 + (first[0] - low1) ** 2)
    return Change(estimate, max(-1.0, estimate - down), min(1.0, estimate + up))
