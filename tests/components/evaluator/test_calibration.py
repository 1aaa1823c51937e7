import math

import numpy as np
import pytest
from tensorflow_model_analysis.metrics.metric_types import StandardMetricInputs
from tensorflow_model_analysis.proto import config_pb2

from components.evaluator.metrics import ExpectedCalibrationError
from shiftvit.export import PROBABILITIES


def calibration_error(labels, probabilities):
    """Returns the metric over two parts that are accumulated apart and merged, as Beam may do."""
    (computation,) = ExpectedCalibrationError("ece").computations(eval_config=config_pb2.EvalConfig())
    combiner, middle = computation.combiner, len(labels) // 3
    accumulators = []
    for part in (slice(None, middle), slice(middle, None)):
        accumulator = combiner.create_accumulator()
        for label, row in zip(labels[part], probabilities[part], strict=True):
            inputs = StandardMetricInputs(labels=np.array([label]), predictions={PROBABILITIES: row})
            accumulator = combiner.add_input(accumulator, inputs)
        accumulators.append(accumulator)
    return combiner.extract_output(combiner.merge_accumulators(accumulators))[computation.keys[0]]


def draw(count):
    """Returns class ids and probabilities; predictions are right in every second bin, so that each bin has a gap."""
    probabilities = np.random.default_rng(0).dirichlet([0.3] * 10, count).astype(np.float32)
    wrong = (15 * probabilities.max(axis=1)).astype(int) % 2
    return (probabilities.argmax(axis=1) + wrong) % 10, probabilities


def test_error_is_the_mean_gap_over_15_bins():
    labels, probabilities = draw(500)
    confidence, right = probabilities.max(axis=1), probabilities.argmax(axis=1) == labels
    gaps = []
    for low, high in zip(np.arange(15) / 15, np.arange(1, 16) / 15, strict=True):
        inside = (confidence > low) & (confidence <= high)
        gaps.append(abs(right[inside].mean() - confidence[inside].mean()) * inside.mean() if inside.any() else 0)

    assert calibration_error(labels, probabilities) == pytest.approx(sum(gaps), abs=1e-6)


def test_one_nan_makes_the_error_nan():
    labels, probabilities = draw(50)
    probabilities[7, 3] = np.nan

    assert math.isnan(calibration_error(labels, probabilities))


def test_confident_predictions_have_error_0_if_right_and_1_if_wrong():
    assert calibration_error([0, 1, 2], np.eye(10)[:3]) == 0
    assert calibration_error([1, 2, 3], np.eye(10)[:3]) == 1
