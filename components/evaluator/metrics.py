"""Metrics that TFMA does not have. It imports them by this module's name, on every worker of Beam."""

from collections.abc import Iterable

import apache_beam as beam
import numpy as np
import tensorflow_model_analysis as tfma
from tensorflow_model_analysis.metrics import metric_types, metric_util
from tensorflow_model_analysis.utils import model_util

from components.evaluator.intervals import paired_change

BINS = 15  # of equal width, as Guo et al. (2017) have them

# What PairedTop1Change counts beside the change itself.
GAINED, LOST = "top1_gained", "top1_lost"

_EDGES = np.linspace(0, 1, BINS + 1)[1:-1]


class _Counts(beam.CombineFn):
    """Adds up an array of counts and sums over the images of a slice."""

    shape: tuple[int, ...]

    def create_accumulator(self) -> np.ndarray:
        return np.zeros(self.shape)

    def merge_accumulators(self, accumulators: Iterable[np.ndarray]) -> np.ndarray:
        return sum(accumulators, self.create_accumulator())


class ExpectedCalibrationError(tfma.metrics.Metric):
    """The mean distance of the confidence of the first answer from how often it is right, over bins of confidence.

    From 0 to 1; not a number if a single confidence is none.
    """

    def __init__(self, name: str = "expected_calibration_error"):
        super().__init__(_calibration_computations, name=name)


def _calibration_computations(name, eval_config=None, model_names=None, example_weighted=False):
    keys = [
        metric_types.MetricKey(name, model_name, example_weighted=example_weighted)
        for model_name in model_names or [""]
    ]
    return [metric_types.MetricComputation([key], None, _CalibrationCombiner(key, eval_config)) for key in keys]


class _CalibrationCombiner(_Counts):
    """Rows: images, sum of their confidences, how many are right. Columns: bins."""

    shape = (3, BINS)

    def __init__(self, key: metric_types.MetricKey, eval_config: tfma.EvalConfig):
        self._key, self._eval_config = key, eval_config

    def add_input(self, accumulator: np.ndarray, element: metric_types.StandardMetricInputs) -> np.ndarray:
        label, probabilities = _label_and_prediction(element, self._eval_config, self._key.model_name)
        confidence = probabilities.max()  # not a number, too, lies in a bin, and makes its sum one
        right = probabilities.argmax() == label
        accumulator[:, np.searchsorted(_EDGES, confidence)] += (1, confidence, right)
        return accumulator

    def extract_output(self, accumulator: np.ndarray) -> dict[metric_types.MetricKey, float]:
        images, confidence, right = accumulator
        return {self._key: float(abs(confidence - right).sum() / images.sum())}


class PairedTop1Change(tfma.metrics.Metric):
    """How far top-1 is from the baseline's on the same images: the LOWER end of its interval, for a change threshold.

    Also GAINED and LOST, the counts that tell estimate and interval. Without a baseline there is nothing to measure.
    """

    def __init__(self, name: str = "paired_top1_change"):
        super().__init__(_change_computations, name=name)


def _change_computations(name, eval_config=None, model_names=None, example_weighted=False):
    baseline = model_util.get_baseline_model_spec(eval_config)
    candidates = [model_name for model_name in model_names or () if baseline and model_name != baseline.name]
    computations = []
    for model_name in candidates:
        key = metric_types.MetricKey(name, model_name, example_weighted=example_weighted)
        combiner = _ChangeCombiner(key, baseline.name, eval_config)
        computations.append(metric_types.MetricComputation(combiner.keys, None, combiner))
    return computations


class _ChangeCombiner(_Counts):
    """Images, those that only the candidate has right, those that only the baseline has, those that both have."""

    shape = (4,)

    def __init__(self, key: metric_types.MetricKey, baseline: str, eval_config: tfma.EvalConfig):
        self._candidate, self._baseline, self._eval_config = key.model_name, baseline, eval_config
        # A change threshold of TFMA is held against the first of these, and makes it a ratio to the second.
        self.keys = [
            key.make_diff_key(),
            key.make_baseline_key(baseline),
            key._replace(name=GAINED),
            key._replace(name=LOST),
        ]

    def add_input(self, accumulator: np.ndarray, element: metric_types.StandardMetricInputs) -> np.ndarray:
        candidate, baseline = (self._is_right(element, name) for name in (self._candidate, self._baseline))
        accumulator += (1, candidate > baseline, candidate < baseline, candidate and baseline)
        return accumulator

    def _is_right(self, element: metric_types.StandardMetricInputs, model_name: str) -> bool:
        label, probabilities = _label_and_prediction(element, self._eval_config, model_name)
        return bool(probabilities.argmax() == label)

    def extract_output(self, accumulator: np.ndarray) -> dict[metric_types.MetricKey, float]:
        images, gained, lost, both = accumulator
        # Of the paired table with its half images, too, so it is never the 0 by which TFMA could not divide.
        baseline_top1 = (lost + both + 1) / (images + 2)
        values = (paired_change(images, gained, lost).low, baseline_top1, gained, lost)
        return dict(zip(self.keys, map(float, values), strict=True))


def _label_and_prediction(
    element: metric_types.StandardMetricInputs, eval_config: tfma.EvalConfig, model_name: str
) -> tuple[int, np.ndarray]:
    """Returns the class id and the probabilities (classes,) of one image."""
    label, prediction, _ = next(
        metric_util.to_label_prediction_example_weight(
            element, eval_config=eval_config, model_name=model_name, flatten=False
        )
    )
    return int(label), prediction
