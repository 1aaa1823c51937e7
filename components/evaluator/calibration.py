"""Expected calibration error: the gap between confidence and accuracy, over bins of confidence. Needs NumPy alone."""

import numpy as np

BINS = 15  # of equal width, as in Guo et al. (2017)
EDGES = np.linspace(0, 1, BINS + 1)


def bin_of(confidence: np.ndarray | float) -> np.ndarray:
    """Returns the bins of confidences, from 0; NaN falls into the last."""
    return np.searchsorted(EDGES[1:-1], confidence)


def expected_error(images: np.ndarray, confidence: np.ndarray, right: np.ndarray) -> float:
    """Returns the expected calibration error, from 0 to 1.

    Args:
        images: number of images in each bin, (BINS,).
        confidence: sum of their confidences in each bin, (BINS,).
        right: number of them that are classified right in each bin, (BINS,).
    """
    return float(abs(confidence - right).sum() / images.sum())
