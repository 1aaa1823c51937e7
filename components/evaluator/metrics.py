"""Metrics that TFMA lacks. TFMA imports them by this module's name on every Beam worker."""

from collections.abc import Iterable

import apache_beam as beam
import numpy as np
import tensorflow_model_analysis as tfma
from tensorflow_model_analysis.metrics import metric_types
from tensorflow_model_analysis.proto import config_pb2
from tensorflow_model_analysis.utils import model_util

from components.evaluator.calibration import BINS, bin_of, expected_error
from components.evaluator.intervals import paired_change, share_interval
from shiftvit.export import PROBABILITIES

# Metrics that PairedTop1Change adds to the change itself: images that only the candidate, or only the baseline,
# classifies right.
GAINED, LOST = "top1_gained", "top1_lost"


class _Sums(beam.CombineFn):
    """Adds up an array over the images of a slice."""

    shape: tuple[int, ...]
    keys: list[metric_types.MetricKey]

    def create_accumulator(self) -> np.ndarray:
        return np.zeros(self.shape)

    def merge_accumulators(self, accumulators: Iterable[np.ndarray]) -> np.ndarray:
        return sum(accumulators, self.create_accumulator())


class _CandidateMetric(tfma.metrics.Metric):
    """A metric of every model but the baseline."""

    def __init__(self, name: str):
        super().__init__(self._make_computations, name=name)

    def _make_computations(
        self,
        name: str,
        eval_config: config_pb2.EvalConfig | None = None,
        model_names: list[str] | None = None,
        example_weighted: bool = False,
    ) -> list[metric_types.MetricComputation]:
        """TFMA passes those of its values that this signature names."""
        spec = model_util.get_baseline_model_spec(eval_config)
        baseline = spec.name if spec else None
        candidates = [model for model in model_names or [""] if model != baseline]
        keys = [metric_types.MetricKey(name, model, example_weighted=example_weighted) for model in candidates]
        combiners = [combiner for key in keys if (combiner := self._combiner(key, baseline))]
        return [metric_types.MetricComputation(combiner.keys, None, combiner) for combiner in combiners]

    def _combiner(self, key: metric_types.MetricKey, baseline: str | None) -> "_Sums | None":
        """Returns what computes the metric of one candidate, or None if there is nothing to compute."""
        raise NotImplementedError


class ExpectedCalibrationError(_CandidateMetric):
    """The mean gap between the model's confidence and its accuracy, over bins of confidence; from 0 to 1.

    NaN if any confidence is NaN.
    """

    def _combiner(self, key: metric_types.MetricKey, baseline: str | None) -> "_CalibrationCombiner":
        return _CalibrationCombiner(key)


class _CalibrationCombiner(_Sums):
    """Sums number of images, confidence and right predictions (rows) per bin of confidence (columns)."""

    shape = (3, BINS)

    def __init__(self, key: metric_types.MetricKey):
        self.keys = [key]

    def add_input(self, accumulator: np.ndarray, element: metric_types.StandardMetricInputs) -> np.ndarray:
        confidence, right = _prediction(element, self.keys[0].model_name)
        accumulator[:, bin_of(confidence)] += (1, confidence, right)  # a NaN makes the bin's sum NaN
        return accumulator

    def extract_output(self, accumulator: np.ndarray) -> dict[metric_types.MetricKey, float]:
        return {self.keys[0]: expected_error(*accumulator)}


class Top1AboveCommonest(_CandidateMetric):
    """By how much the LOWER end of top-1's interval exceeds the share of the commonest class, from -1 to 1.

    That share is the top-1 of a model that always answers the commonest class.
    """

    def __init__(self, name: str, num_classes: int):
        super().__init__(name)
        self._num_classes = num_classes

    def _combiner(self, key: metric_types.MetricKey, baseline: str | None) -> "_CommonestCombiner":
        return _CommonestCombiner(key, self._num_classes)


class _CommonestCombiner(_Sums):
    """Counts the images of each class and, last, those that are classified right."""

    def __init__(self, key: metric_types.MetricKey, num_classes: int):
        self.keys, self.shape = [key], (num_classes + 1,)

    def add_input(self, accumulator: np.ndarray, element: metric_types.StandardMetricInputs) -> np.ndarray:
        name = self.keys[0].model_name
        accumulator[int(element.get_labels(name)[0])] += 1
        accumulator[-1] += _prediction(element, name)[1]
        return accumulator

    def extract_output(self, accumulator: np.ndarray) -> dict[metric_types.MetricKey, float]:
        *counts, right = accumulator.tolist()
        images = int(sum(counts))
        return {self.keys[0]: share_interval(right / images, images)[0] - max(counts) / images}


class PairedTop1Change(_CandidateMetric):
    """The change of top-1 from the baseline on the same images: the LOWER end of its interval, for a threshold.

    Also computes GAINED and LOST, from which estimate and interval follow. Computes nothing without a baseline.
    """

    def _combiner(self, key: metric_types.MetricKey, baseline: str | None) -> "_ChangeCombiner | None":
        return _ChangeCombiner(key, baseline) if baseline else None


class _ChangeCombiner(_Sums):
    """Counts images, and those that only the candidate, only the baseline, and both classify right."""

    shape = (4,)

    def __init__(self, key: metric_types.MetricKey, baseline: str):
        self._candidate, self._baseline = key.model_name, baseline
        # TFMA compares a change threshold with the first key, and divides that by the second.
        self.keys = [
            key.make_diff_key(),
            key.make_baseline_key(baseline),
            key._replace(name=GAINED),
            key._replace(name=LOST),
        ]

    def add_input(self, accumulator: np.ndarray, element: metric_types.StandardMetricInputs) -> np.ndarray:
        candidate, baseline = (_prediction(element, name)[1] for name in (self._candidate, self._baseline))
        accumulator += (1, candidate > baseline, candidate < baseline, candidate and baseline)
        return accumulator

    def extract_output(self, accumulator: np.ndarray) -> dict[metric_types.MetricKey, float]:
        images, gained, lost, both = accumulator
        # Half an image is added to each cell of the paired table here too, so that TFMA never divides by 0.
        baseline_top1 = (lost + both + 1) / (images + 2)
        values = (paired_change(images, gained, lost).low, baseline_top1, gained, lost)
        return dict(zip(self.keys, map(float, values), strict=True))


def _prediction(element: metric_types.StandardMetricInputs, model_name: str) -> tuple[float, bool]:
    """Returns the model's confidence for one image, and whether its class is right."""
    probabilities = element.get_predictions(model_name)[PROBABILITIES]
    return probabilities.max(), bool(probabilities.argmax() == element.get_labels(model_name)[0])
