"""The gate on the test split: what TFMA measures and demands, why it refused a model, and what it measured."""

from collections.abc import Iterator, Sequence
from typing import Any

import tensorflow_model_analysis as tfma
from google.protobuf.wrappers_pb2 import DoubleValue

from shiftvit import features
from shiftvit.export import PROBABILITIES, SERVING_EXAMPLES
from shiftvit.metrics import LOSS, TOP1, TOP5

SPLITS = (features.TEST,)  # the Evaluator reads no other

_EXAMPLES = "examples"
_CONFUSION = "confusion"
_OVERALL = tfma.SlicingSpec()
_PER_CLASS = tfma.SlicingSpec(feature_keys=[features.LABEL])
_ROUNDING = 1e-6  # metrics are float32: 900 right of 1,000 is 0.89999998, and must pass a bound of 0.9
_TITLES = {TOP1: "top-1", TOP5: "top-5"}


def make_eval_config(
    images: int, min_top1: float, min_top5: float, min_class_top1: float, max_top1_drop: float
) -> tfma.EvalConfig:
    """Returns what TFMA measures, overall and per class, and the bounds that a model must keep to be blessed.

    Args:
        images: how many the test split has; a runner of Beam that lost some of them blesses nothing.
        min_top1: least share of all test images whose class is the first answer, from 0 to 1.
        min_top5: the same for the first five answers.
        min_class_top1: least top-1 of every single class.
        max_top1_drop: how far top-1 may be below the baseline's; TFX leaves it out where there is no baseline.
    """
    drop = tfma.GenericChangeThreshold(
        direction=tfma.MetricDirection.HIGHER_IS_BETTER, absolute=DoubleValue(value=-max_top1_drop - _ROUNDING)
    )
    # Just so many, half an image either way.
    all_images = tfma.PerSliceMetricThreshold(
        slicing_specs=[_OVERALL],
        threshold=tfma.MetricThreshold(
            value_threshold=tfma.GenericValueThreshold(
                lower_bound=DoubleValue(value=images - 0.5), upper_bound=DoubleValue(value=images + 0.5)
            )
        ),
    )
    top1_bounds = [_bound(_OVERALL, min_top1, change_threshold=drop), _bound(_PER_CLASS, min_class_top1)]
    return tfma.EvalConfig(
        model_specs=[
            tfma.ModelSpec(signature_name=SERVING_EXAMPLES, label_key=features.LABEL, prediction_key=PROBABILITIES)
        ],
        slicing_specs=[_OVERALL, _PER_CLASS],
        metrics_specs=[
            tfma.MetricsSpec(
                metrics=[
                    _metric("SparseCategoricalAccuracy", TOP1, bounds=top1_bounds),
                    _metric("SparseTopKCategoricalAccuracy", TOP5, '"k": 5', bounds=[_bound(_OVERALL, min_top5)]),
                    _metric("SparseCategoricalCrossentropy", LOSS),
                    _metric("ExampleCount", _EXAMPLES, bounds=[all_images]),
                    _metric("MultiClassConfusionMatrixAtThresholds", _CONFUSION, '"thresholds": [0.0]'),
                ]
            )
        ],
        options=tfma.Options(include_default_metrics={"value": False}),
    )


def _metric(class_name: str, name: str, setting: str = "", bounds: Sequence = ()) -> tfma.MetricConfig:
    settings = ", ".join(filter(None, [f'"name": "{name}"', setting]))
    return tfma.MetricConfig(class_name=class_name, config=f"{{{settings}}}", per_slice_thresholds=bounds)


def _bound(where: tfma.SlicingSpec, least: float, **further: Any) -> tfma.PerSliceMetricThreshold:
    value = tfma.GenericValueThreshold(lower_bound=DoubleValue(value=least - _ROUNDING))
    return tfma.PerSliceMetricThreshold(
        slicing_specs=[where], threshold=tfma.MetricThreshold(value_threshold=value, **further)
    )


def explain(evaluation_uri: str, class_names: Sequence[str] = ()) -> list[str]:
    """Returns why the model was not blessed, a sentence for each bound it missed; nothing if it was.

    Args:
        evaluation_uri: where the Evaluator wrote its ModelEvaluation.
        class_names: of the class ids, in order; a class without one is called by its id.
    """
    result = tfma.load_validation_result(evaluation_uri)
    missed = [
        _explain_failure(failure, _slice_title(validation.slice_key, class_names))
        for validation in result.metric_validations_per_slice
        for failure in validation.failures
    ]
    absent = [
        f"the test split has no images to measure by {' and '.join(spec.feature_keys) or 'at all'}"
        for spec in result.missing_slices
    ]
    return missed + absent


def _explain_failure(failure, where: str) -> str:
    name = _TITLES.get(failure.metric_key.name, failure.metric_key.name)
    if failure.message.strip():
        return f"{name} on {where} could not be checked: {' '.join(failure.message.split())}"
    value = failure.metric_value.double_value.value
    if failure.metric_key.is_diff:
        allowed = -failure.metric_threshold.change_threshold.absolute.value
        if -value <= allowed:
            return f"{name} on {where} cannot be compared with the baseline's, which is 0"
        return (
            f"{name} on {where} is {-100 * value:.2f} points below the baseline's, "
            f"{100 * (-value - allowed):.2f} more than the {100 * allowed:.2f} allowed"
        )
    if name == _EXAMPLES:
        wanted = round(failure.metric_threshold.value_threshold.lower_bound.value + 0.5)
        return (
            f"{value:,.0f} of the {wanted:,} test images were measured: Beam's runner lost or doubled some; "
            "run again, with --beam local if you chose another"
        )
    least = failure.metric_threshold.value_threshold.lower_bound.value
    return f"{name} on {where} is {value:.2%}, below the required {least:.2%} by {100 * (least - value):.2f} points"


def _slice_title(slice_key, class_names: Sequence[str]) -> str:
    if not slice_key.single_slice_keys:
        return "all test images"
    class_id = slice_key.single_slice_keys[0].int64_value
    return f"class {class_names[class_id] if class_id < len(class_names) else class_id}"


def read_metrics(evaluation_uri: str) -> dict[str, Any]:
    """Returns what was measured of the candidate on the test split, as JSON-able data.

    `top1`, `top5`, `loss` and `examples` (a count) of all images; `class_top1`, a list by class id, None for a class
    without test images; `confusion`, counts in rows by true class id and columns by answered class id.
    """
    values = {None: {}}  # by class id; None is all images
    for record in tfma.load_metrics(evaluation_uri):
        keys = record.slice_key.single_slice_keys
        values[keys[0].int64_value if keys else None] = dict(_candidate_values(record))
    overall = values[None]
    return {
        **{name: overall[name].double_value.value for name in (TOP1, TOP5, LOSS)},
        _EXAMPLES: int(overall[_EXAMPLES].double_value.value),
        "class_top1": [
            values[k][TOP1].double_value.value if k in values else None for k in range(features.NUM_CLASSES)
        ],
        _CONFUSION: _confusion_matrix(overall[_CONFUSION]),
    }


def _candidate_values(record) -> Iterator[tuple[str, Any]]:
    for item in record.metric_keys_and_values:
        if item.key.model_name != tfma.BASELINE_KEY and not item.key.is_diff:
            yield item.key.name, item.value


def _confusion_matrix(value) -> list[list[int]]:
    counts = [[0] * features.NUM_CLASSES for _ in range(features.NUM_CLASSES)]
    for entry in value.multi_class_confusion_matrix_at_thresholds.matrices[0].entries:
        counts[entry.actual_class_id][entry.predicted_class_id] = int(entry.num_weighted_examples)
    return counts
