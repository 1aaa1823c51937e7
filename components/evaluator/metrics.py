"""Metrics that TFMA does not have. It imports them by this module's name, on every worker of Beam."""

from collections.abc import Iterable

import apache_beam as beam
import numpy as np
import tensorflow_model_analysis as tfma
from tensorflow_model_analysis.metrics import metric_types
from tensorflow_model_analysis.utils import model_util

from components.evaluator.calibration import BINS, bin_of, expected_error
from components.evaluator.intervals import paired_change
from shiftvit.export import PROBABILITIES

# What PairedTop1Change counts beside the change itself.
GAINED, LOST = "top1_gained", "top1_lost"


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
    keys = _candidate_keys(name, eval_config, model_names, example_weighted)
    return [metric_types.MetricComputation([key], None, _CalibrationCombiner(key)) for key in keys]


class _CalibrationCombiner(_Counts):
    """Rows: images, sum of their confidences, how many are right. Columns: bins."""

    shape = (3, BINS)

    def __init__(self, key: metric_types.MetricKey):
        self._key = key

    def add_input(self, accumulator: np.ndarray, element: metric_types.StandardMetricInputs) -> np.ndarray:
        confidence, right = _first_answer(element, self._key.model_name)
        accumulator[:, bin_of(confidence)] += (1, confidence, right)  # what is not a number makes the bin's sum none
        return accumulator

    def extract_output(self, accumulator: np.ndarray) -> dict[metric_types.MetricKey, float]:
        return {self._key: expected_error(*accumulator)}


class PairedTop1Change(tfma.metrics.Metric):
    """How far top-1 is from the baseline's on the same images: the LOWER end of its interval, for a change threshold.

    Also GAINED and LOST, the counts that tell estimate and interval. Without a baseline there is nothing to measure.
    """

    def __init__(self, name: str = "paired_top1_change"):
        super().__init__(_change_computations, name=name)


def _change_computations(name, eval_config=None, model_names=None, example_weighted=False):
    baseline = model_util.get_baseline_model_spec(eval_config)
    keys = _candidate_keys(name, eval_config, model_names, example_weighted) if baseline else []
    combiners = [_ChangeCombiner(key, baseline.name) for key in keys]
    return [metric_types.MetricComputation(combiner.keys, None, combiner) for combiner in combiners]


class _ChangeCombiner(_Counts):
    """Images, those that only the candidate has right, those that only the baseline has, those that both have."""

    shape = (4,)

    def __init__(self, key: metric_types.MetricKey, baseline: str):
        self._candidate, self._baseline = key.model_name, baseline
        # A change threshold of TFMA is held against the first of these, and makes it a ratio to the second.
        self.keys = [
            key.make_diff_key(),
            key.make_baseline_key(baseline),
            key._replace(name=GAINED),
            key._replace(name=LOST),
        ]

    def add_input(self, accumulator: np.ndarray, element: metric_types.StandardMetricInputs) -> np.ndarray:
        candidate, baseline = (_first_answer(element, name)[1] for name in (self._candidate, self._baseline))
        accumulator += (1, candidate > baseline, candidate < baseline, candidate and baseline)
        return accumulator

    def extract_output(self, accumulator: np.ndarray) -> dict[metric_types.MetricKey, float]:
        images, gained, lost, both = accumulator
        # Of the paired table with its half images, too, so it is never the 0 by which TFMA could not divide.
        baseline_top1 = (lost + both + 1) / (images + 2)
        values = (paired_change(images, gained, lost).low, baseline_top1, gained, lost)
        return dict(zip(self.keys, map(float, values), strict=True))


def _candidate_keys(name, eval_config, model_names, example_weighted) -> list[metric_types.MetricKey]:
    baseline = model_util.get_baseline_model_spec(eval_config)
    return [
        metric_types.MetricKey(name, model_name, example_weighted=example_weighted)
        for model_name in model_names or [""]
        if baseline is None or model_name != baseline.name
    ]


def _first_answer(element: metric_types.StandardMetricInputs, model_name: str) -> tuple[float, bool]:
    """Returns the probability of the model's first answer to one image, and whether it is right."""
    probabilities = element.get_predictions(model_name)[PROBABILITIES]
    return probabilities.max(), bool(probabilities.argmax() == element.get_labels(model_name)[0])
