"""What TFMA measures on the test split, and the bounds that a model must keep to be blessed."""

import json
from collections.abc import Sequence
from typing import Any

import tensorflow_model_analysis as tfma
from google.protobuf.wrappers_pb2 import DoubleValue

from components.evaluator import extraction, metrics
from components.evaluator.corruptions import CORRUPTIONS
from components.evaluator.extraction import CLEAN, CORRUPTION
from shiftvit import features
from shiftvit.export import PROBABILITIES, SERVING_EXAMPLES
from shiftvit.metrics import LOSS, TOP1, TOP5

SPLITS = (features.TEST,)  # the Evaluator reads no other
EXTRACTION = extraction.__name__  # the Evaluator's `module_path`

# Names of metrics.
EXAMPLES = "examples"
CONFUSION = "confusion"
ECE = "ece"
TOP1_CHANGE = "top1_change"

_CLEAN = {CORRUPTION: CLEAN}
_OVERALL = tfma.SlicingSpec(feature_values=_CLEAN)
_PER_CLASS = tfma.SlicingSpec(feature_values=_CLEAN, feature_keys=[features.LABEL])
_CORRUPTED = [tfma.SlicingSpec(feature_values={CORRUPTION: name}) for name in CORRUPTIONS]
_ROUNDING = 1e-6  # metrics are float32: 900 right of 1,000 is 0.89999998, and must pass a bound of 0.9


def make_eval_config(
    images: int,
    min_top1: float,
    min_top5: float,
    min_class_top1: float,
    max_top1_drop: float,
    max_ece: float,
    min_corrupted_top1: float,
) -> tfma.EvalConfig:
    """Returns what TFMA measures, overall, per class and per corruption, and the bounds of a blessed model.

    What is not said of corrupted images is measured on the test images as they are.

    Args:
        images: how many the test split has; a runner of Beam that lost some of them blesses nothing.
        min_top1: least share of all test images whose class is the first answer, from 0 to 1.
        min_top5: the same for the first five answers.
        min_class_top1: least top-1 of every single class.
        max_top1_drop: how far top-1 may be below the baseline's, and the whole interval of the change must tell that
            it is not further; TFX leaves it out where there is no baseline.
        max_ece: greatest expected calibration error; whatever it is, a model that answers NaN misses it.
        min_corrupted_top1: least top-1 on the images of every single corruption.
    """
    # Just so many, half an image either way.
    all_images = _bound(_OVERALL, _between(images - 0.5, images + 0.5))
    floors = [_bound(_OVERALL, _least(min_top1)), _bound(_PER_CLASS, _least(min_class_top1))]
    if min_corrupted_top1 > 0:  # else a test split so small that a corruption has no image would miss it
        floors += [_bound(corrupted, _least(min_corrupted_top1)) for corrupted in _CORRUPTED]
    return tfma.EvalConfig(
        model_specs=[
            tfma.ModelSpec(signature_name=SERVING_EXAMPLES, label_key=features.LABEL, prediction_key=PROBABILITIES)
        ],
        slicing_specs=[_OVERALL, _PER_CLASS, *_CORRUPTED],
        metrics_specs=[
            tfma.MetricsSpec(
                metrics=[
                    _metric("SparseCategoricalAccuracy", TOP1, floors),
                    _metric("SparseTopKCategoricalAccuracy", TOP5, [_bound(_OVERALL, _least(min_top5))], k=5),
                    _metric("SparseCategoricalCrossentropy", LOSS),
                    _metric("ExampleCount", EXAMPLES, [all_images]),
                    _metric("MultiClassConfusionMatrixAtThresholds", CONFUSION, thresholds=[0.0]),
                    _own_metric(metrics.ExpectedCalibrationError, ECE, _bound(_OVERALL, _most(max_ece))),
                    _own_metric(metrics.PairedTop1Change, TOP1_CHANGE, _bound(_OVERALL, _drop(max_top1_drop))),
                ]
            )
        ],
        options=tfma.Options(include_default_metrics={"value": False}),
    )


def _metric(class_name: str, name: str, bounds: Sequence = (), **settings: Any) -> tfma.MetricConfig:
    config = json.dumps({"name": name} | settings)
    return tfma.MetricConfig(class_name=class_name, config=config, per_slice_thresholds=bounds)


def _own_metric(metric: type, name: str, bound: tfma.PerSliceMetricThreshold) -> tfma.MetricConfig:
    config = _metric(metric.__name__, name, [bound])
    config.module = metric.__module__
    return config


def _bound(where: tfma.SlicingSpec, threshold: tfma.MetricThreshold) -> tfma.PerSliceMetricThreshold:
    return tfma.PerSliceMetricThreshold(slicing_specs=[where], threshold=threshold)


def _between(low: float, high: float) -> tfma.MetricThreshold:
    bounds = {"lower_bound": DoubleValue(value=low), "upper_bound": DoubleValue(value=high)}
    return tfma.MetricThreshold(value_threshold=tfma.GenericValueThreshold(**bounds))


def _least(low: float) -> tfma.MetricThreshold:
    bound = DoubleValue(value=low - _ROUNDING)
    return tfma.MetricThreshold(value_threshold=tfma.GenericValueThreshold(lower_bound=bound))


def _most(high: float) -> tfma.MetricThreshold:
    bound = DoubleValue(value=high + _ROUNDING)
    return tfma.MetricThreshold(value_threshold=tfma.GenericValueThreshold(upper_bound=bound))


def _drop(most: float) -> tfma.MetricThreshold:
    change = tfma.GenericChangeThreshold(
        direction=tfma.MetricDirection.HIGHER_IS_BETTER, absolute=DoubleValue(value=-most)
    )
    return tfma.MetricThreshold(change_threshold=change)
