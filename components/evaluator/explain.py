"""Why the Evaluator did not bless a model, in words."""

import math
from collections.abc import Sequence
from typing import Any

import tensorflow_model_analysis as tfma

from components.evaluator.eval_config import ECE, EXAMPLES, TOP1_CHANGE
from components.evaluator.extraction import CLEAN, CORRUPTION
from components.evaluator.results import read_metrics
from shiftvit import features
from shiftvit.metrics import TOP1, TOP5

_TITLES = {TOP1: "top-1", TOP5: "top-5", ECE: "expected calibration error", TOP1_CHANGE: "the change of top-1"}
_CORRUPTED = {
    "noise": "images with noise",
    "blur": "images with blur",
    "brightness": "images made brighter",
    "jpeg": "images with JPEG artefacts",
}


def explain(evaluation_uri: str, class_names: Sequence[str] = ()) -> list[str]:
    """Returns why the model was not blessed, a sentence for each bound it missed; nothing if it was.

    Args:
        evaluation_uri: where the Evaluator wrote its ModelEvaluation.
        class_names: of the class ids, in order; a class without one is called by its id.
    """
    result = tfma.load_validation_result(evaluation_uri)
    missed = [
        (failure, _slice_title(validation.slice_key, class_names))
        for validation in result.metric_validations_per_slice
        for failure in validation.failures
    ]
    # Of a model that answers NaN, the other figures are those of no answers.
    meaningless = [(failure, where) for failure, where in missed if not math.isfinite(_value(failure))]
    told = [_explain_failure(failure, where, evaluation_uri) for failure, where in meaningless or missed]
    return list(dict.fromkeys(told + [_explain_absence(spec) for spec in result.missing_slices]))


def _value(failure) -> float:
    return failure.metric_value.double_value.value


def _explain_failure(failure, where: str, evaluation_uri: str) -> str:
    name = failure.metric_key.name
    title = f"{_TITLES.get(name, name)} on {where}"
    value, threshold = _value(failure), failure.metric_threshold
    if failure.message.strip():
        return f"{title} could not be checked: {' '.join(failure.message.split())}"
    if not math.isfinite(value):
        return f"{title} is not a number: the model answers NaN"
    if name == EXAMPLES:
        return _explain_count(value, threshold.value_threshold)
    if name == TOP1_CHANGE:
        return _explain_change(read_metrics(evaluation_uri), -threshold.change_threshold.absolute.value)
    if name == ECE:
        return f"{title} is {value:.3f}, above the allowed {threshold.value_threshold.upper_bound.value:.3f}"
    least = threshold.value_threshold.lower_bound.value
    return f"{title} is {value:.2%}, below the required {least:.2%} by {100 * (least - value):.2f} points"


def _explain_count(value: float, bounds: tfma.GenericValueThreshold) -> str:
    return (
        f"{value:,.0f} of the {round(bounds.lower_bound.value + 0.5):,} test images were measured: Beam's runner lost "
        "or doubled some; run again, with --beam local if you chose another"
    )


def _explain_change(metrics: dict[str, Any], allowed: float) -> str:
    change = metrics["top1_change"]
    estimate, low, high = change["estimate"], change["low"], change["high"]
    told = f"top-1 is {f'{_points(estimate)} points {_side(estimate)}' if estimate else 'the same as'} the baseline's"
    limit = f"where evaluate.max_top1_drop allows {100 * allowed:.2f}"
    if high < -allowed:
        return f"{told} (95% interval {_points(high)} to {_points(low)}), {limit}"
    return (
        f"{told}, but by {metrics[EXAMPLES]:,} test images that may be anything from {_points(high)} {_side(high)} to "
        f"{_points(low)} {_side(low)}, {limit}: a larger test split, or a larger limit, can tell"
    )


def _points(change: float) -> str:
    return f"{100 * abs(change):.2f}"


def _side(change: float) -> str:
    return "above" if change > 0 else "below"


def _slice_title(slice_key, class_names: Sequence[str]) -> str:
    keys = {key.column: key for key in slice_key.single_slice_keys}
    corruption = keys[CORRUPTION].bytes_value.decode()
    if corruption != CLEAN:
        return _CORRUPTED[corruption]
    if features.LABEL not in keys:
        return "all test images"
    class_id = keys[features.LABEL].int64_value
    return f"class {class_names[class_id] if class_id < len(class_names) else class_id}"


def _explain_absence(spec: tfma.SlicingSpec) -> str:
    corruption = spec.feature_values[CORRUPTION]
    if corruption == CLEAN:
        return "the test split has no images to measure"
    return (
        f"the test split is too small to have {_CORRUPTED[corruption]}, so evaluate.min_corrupted_top1 cannot be "
        "checked: a larger one has, or 0 asks for none"
    )
