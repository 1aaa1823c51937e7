"""How far confidence is from how often it is right, over bins of confidence. Knows NumPy alone."""

import numpy as np

BINS = 15  # of equal width, as Guo et al. (2017) have them
EDGES = np.linspace(0, 1, BINS + 1)


def bin_of(confidence: np.ndarray | float) -> np.ndarray | int:
    """Returns the number of the bin, from 0; what is not a number falls into the last."""
    return np.searchsorted(EDGES[1:-1], confidence)


def expected_error(images: np.ndarray, confidence: np.ndarray, right: np.ndarray) -> float:
    """Returns the expected calibration error, from 0 to 1.

    images, confidence, right: of each bin, how many images, the sum of their confidences, and how many are right.
    """
    return float(abs(confidence - right).sum() / images.sum())
