"""The Evaluator's configuration: the metrics and slices that TFMA computes, and the thresholds for a blessing.

The messages come from TFMA's `config_pb2`, because the namespace `tfma` lacks them on the current stack.
"""

import json
from collections.abc import Sequence
from typing import Any

from tensorflow_model_analysis.proto import config_pb2

from components.evaluator import extraction, metrics
from components.evaluator.corruptions import CORRUPTIONS
from components.evaluator.extraction import CLEAN, CORRUPTION
from shiftvit import features
from shiftvit.export import PROBABILITIES, SERVING_EXAMPLES
from shiftvit.metrics import ECE, LOSS, TOP1, TOP5, has_top5

SPLITS = (features.TEST,)  # that the Evaluator reads
EXTRACTION = extraction.__name__  # the Evaluator's `module_path`

# Names of metrics that only the Evaluator computes.
EXAMPLES = "examples"
CONFUSION = "confusion"
TOP1_CHANGE = "top1_change"
ABOVE_COMMONEST = "top1_above_commonest"

_CLEAN = {CORRUPTION: CLEAN}
_OVERALL = config_pb2.SlicingSpec(feature_values=_CLEAN)
_PER_CLASS = config_pb2.SlicingSpec(feature_values=_CLEAN, feature_keys=[features.LABEL])
_CORRUPTED = [config_pb2.SlicingSpec(feature_values={CORRUPTION: name}) for name in CORRUPTIONS]
_MODEL = config_pb2.ModelSpec(signature_name=SERVING_EXAMPLES, label_key=features.LABEL, prediction_key=PROBABILITIES)
_ROUNDING = 1e-6  # metrics are float32: 900 right of 1,000 is 0.89999998 and must pass a threshold of 0.9


def make_eval_config(
    images: int,
    num_classes: int,
    min_top1: float,
    min_top5: float,
    min_class_top1: float,
    max_top1_drop: float,
    max_ece: float,
    min_corrupted_top1: float,
    beat_commonest: bool,
    may_lack: int = 0,
) -> config_pb2.EvalConfig:
    """Returns TFMA's configuration: metrics overall, per class and per corruption, with their thresholds.

    All but `min_corrupted_top1` apply to the uncorrupted test images. Shares and errors are from 0 to 1.

    Args:
        images: number of images in the test split; if Beam's runner loses some, the model is not blessed.
        num_classes: of the data.
        min_top1: lowest top-1 over all test images.
        min_top5: lowest top-5 over all test images; not with five classes or fewer.
        min_class_top1: lowest top-1 of any class.
        max_top1_drop: how far the lower end of the change's 95% interval may be below 0; skipped without a baseline.
        max_ece: highest expected calibration error; a model that answers NaN exceeds any.
        min_corrupted_top1: lowest top-1 on the images of any corruption; 0 sets no threshold.
        beat_commonest: whether the lower end of top-1's 95% interval must be above the share of the commonest class.
        may_lack: number of images that ingestion may have left out; it is unknown before ingestion.
    """
    gated = [
        _metric("SparseCategoricalAccuracy", TOP1, _top1_thresholds(min_top1, min_class_top1, min_corrupted_top1)),
        _metric("ExampleCount", EXAMPLES, [_threshold(_OVERALL, images - may_lack - 0.5, images + 0.5)]),
        _metric(metrics.ExpectedCalibrationError, ECE, [_threshold(_OVERALL, high=max_ece)]),
        _metric(metrics.PairedTop1Change, TOP1_CHANGE, [_drop_at_most(max_top1_drop)]),
        *(_top5(min_top5) if has_top5(num_classes) else []),
        *(_above_commonest(num_classes) if beat_commonest else []),
    ]
    return _with_slices([*gated, *_NOT_GATED])


def _with_slices(measured: list[config_pb2.MetricConfig]) -> config_pb2.EvalConfig:
    return config_pb2.EvalConfig(
        model_specs=[_MODEL],
        slicing_specs=[_OVERALL, _PER_CLASS, *_CORRUPTED],
        metrics_specs=[config_pb2.MetricsSpec(metrics=measured)],
        options=config_pb2.Options(include_default_metrics={"value": False}),
    )


def _top1_thresholds(overall: float, per_class: float, corrupted: float) -> list[config_pb2.PerSliceMetricThreshold]:
    thresholds = [_threshold(_OVERALL, low=overall), _threshold(_PER_CLASS, low=per_class)]
    if corrupted > 0:  # TFMA reports a slice without images as a failure, even of a threshold of 0
        thresholds += [_threshold(slicing, low=corrupted) for slicing in _CORRUPTED]
    return thresholds


def _top5(minimum: float) -> list[config_pb2.MetricConfig]:
    return [_metric("SparseTopKCategoricalAccuracy", TOP5, [_threshold(_OVERALL, low=minimum)], k=5)]


def _above_commonest(num_classes: int) -> list[config_pb2.MetricConfig]:
    positive = [_threshold(_OVERALL, low=2 * _ROUNDING)]  # one is taken off again
    return [_metric(metrics.Top1AboveCommonest, ABOVE_COMMONEST, positive, num_classes=num_classes)]


def _metric(
    metric: str | type, name: str, slice_thresholds: Sequence[config_pb2.PerSliceMetricThreshold] = (), **settings: Any
) -> config_pb2.MetricConfig:
    """Takes the name of one of TFMA's metrics, or a class of ours."""
    class_name, module = (metric, "") if isinstance(metric, str) else (metric.__name__, metric.__module__)
    config = json.dumps({"name": name} | settings)
    return config_pb2.MetricConfig(
        class_name=class_name, module=module, config=config, per_slice_thresholds=slice_thresholds
    )


def _threshold(
    slicing: config_pb2.SlicingSpec, low: float | None = None, high: float | None = None
) -> config_pb2.PerSliceMetricThreshold:
    bounds = {}
    if low is not None:
        bounds["lower_bound"] = {"value": low - _ROUNDING}
    if high is not None:
        bounds["upper_bound"] = {"value": high + _ROUNDING}
    return config_pb2.PerSliceMetricThreshold(slicing_specs=[slicing], threshold={"value_threshold": bounds})


def _drop_at_most(maximum: float) -> config_pb2.PerSliceMetricThreshold:
    change = {"direction": config_pb2.MetricDirection.HIGHER_IS_BETTER, "absolute": {"value": -maximum}}
    return config_pb2.PerSliceMetricThreshold(slicing_specs=[_OVERALL], threshold={"change_threshold": change})


_NOT_GATED = [  # metrics without a threshold
    _metric("SparseCategoricalCrossentropy", LOSS),
    _metric("MultiClassConfusionMatrixAtThresholds", CONFUSION, thresholds=[0.0]),
]
