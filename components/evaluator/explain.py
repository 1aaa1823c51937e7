"""Explains why the Evaluator did not bless a model."""

import math
from collections.abc import Sequence
from typing import Any

import tensorflow_model_analysis as tfma
from tensorflow_model_analysis.proto import config_pb2, metrics_for_slice_pb2, validation_result_pb2

from components.evaluator.eval_config import ABOVE_COMMONEST, EXAMPLES, TOP1_CHANGE
from components.evaluator.extraction import CLEAN, CORRUPTION
from components.evaluator.results import read_change, read_commonest, slice_of
from shiftvit.files import paths
from shiftvit.metrics import ECE, TITLES, TOP1

_TITLES = TITLES | {TOP1_CHANGE: "the change of top-1", ABOVE_COMMONEST: TITLES[TOP1]}
_CLASS = "class "
_CORRUPTED_TITLES = {
    "noise": "images with noise",
    "blur": "images with blur",
    "brightness": "images made brighter",
    "jpeg": "images with JPEG artefacts",
}


def explain(evaluation_uri: str, class_names: Sequence[str] = ()) -> list[str]:
    """Returns a sentence for each setting that the model missed, so none for a blessed model.

    Those on all images come first, then those on a class, then those on corrupted images.

    Args:
        evaluation_uri: folder of the ModelEvaluation artifact.
        class_names: by class id; a class without a name is shown by its id.
    """
    result = tfma.load_validation_result(paths.plain(evaluation_uri))
    failures = [
        (failure, _slice_title(validation.slice_key, class_names))
        for validation in sorted(result.metric_validations_per_slice, key=lambda found: _place(found.slice_key))
        for failure in validation.failures
    ]
    # If the model answers NaN, the other metrics mean nothing.
    not_finite = [(failure, images) for failure, images in failures if not math.isfinite(_value(failure))]
    shown = not_finite or failures
    grouped = {} if not_finite else _explain_groups(shown)
    reasons = [
        grouped.get(_group(failure, images)) or _explain_failure(failure, images, evaluation_uri, class_names)
        for failure, images in shown
    ]
    return list(dict.fromkeys(reasons + [_explain_missing_slice(spec) for spec in result.missing_slices]))


def _group(failure: validation_result_pb2.ValidationFailure, images: str) -> str | None:
    """Returns the setting that the failure shares with the other classes or corruptions; None if it has its own."""
    if failure.metric_key.name != TOP1 or failure.message.strip():
        return None
    if images.startswith(_CLASS):
        return "evaluate.min_class_top1"
    return "evaluate.min_corrupted_top1" if images in _CORRUPTED_TITLES.values() else None


def _explain_groups(failures: Sequence[tuple[validation_result_pb2.ValidationFailure, str]]) -> dict[str | None, str]:
    """Returns a sentence, by setting, for settings that several classes or corruptions miss, the lowest first."""
    sentences: dict[str | None, str] = {}
    for setting, noun in (("evaluate.min_class_top1", "classes"), ("evaluate.min_corrupted_top1", "corruptions")):
        missed = sorted((_value(failure), images) for failure, images in failures if _group(failure, images) == setting)
        if len(missed) > 1:
            minimum = next(
                failure.metric_threshold.value_threshold.lower_bound.value
                for failure, images in failures
                if _group(failure, images) == setting
            )
            measured = ", ".join(f"{images.removeprefix(_CLASS)} {value:.2%}" for value, images in missed)
            sentences[setting] = f"top-1 of {len(missed)} {noun} is below {minimum:.2%} ({setting}): {measured}"
    return sentences


def _value(failure: validation_result_pb2.ValidationFailure) -> float:
    return failure.metric_value.double_value.value


def _explain_failure(
    failure: validation_result_pb2.ValidationFailure, images: str, evaluation_uri: str, class_names: Sequence[str]
) -> str:
    name = failure.metric_key.name
    title = f"{_TITLES.get(name, name)} on {images}"
    value, threshold = _value(failure), failure.metric_threshold
    if failure.message.strip():
        return f"{title} could not be checked: {' '.join(failure.message.split())}"
    if not math.isfinite(value):
        return f"{title} is not a number: the model answers NaN"
    if name == EXAMPLES:
        return _explain_count(value, threshold.value_threshold)
    if name == TOP1_CHANGE:
        return _explain_change(read_change(evaluation_uri), -threshold.change_threshold.absolute.value)
    if name == ABOVE_COMMONEST:
        return _explain_commonest(read_commonest(evaluation_uri), title, class_names)
    if name == ECE:
        allowed = threshold.value_threshold.upper_bound.value
        return f"{title} is {value:.3f}, above the allowed {allowed:.3f} (evaluate.max_ece)"
    minimum = threshold.value_threshold.lower_bound.value
    setting = _group(failure, images) or f"evaluate.min_{name}"
    return (
        f"{title} is {value:.2%}, below the required {minimum:.2%} by {100 * (minimum - value):.2f} points ({setting})"
    )


def _explain_count(value: float, bounds: config_pb2.GenericValueThreshold) -> str:
    return (
        f"{value:,.0f} of the {round(bounds.lower_bound.value + 0.5):,} test images were measured: Beam's runner lost "
        "or doubled some; run again, with --beam local if you chose another runner"
    )


def _explain_commonest(found: dict[str, Any], title: str, class_names: Sequence[str]) -> str:
    return (
        f"{title} is {found[TOP1]:.2%}, with a 95% interval from {found['top1_interval'][0]:.2%}: that is not above "
        f"{found['share']:.2%}, which always answering {_class_title(found['class_id'], class_names)}, the commonest, "
        "would reach (evaluate.beat_commonest)"
    )


def _explain_change(change: dict[str, Any], allowed: float) -> str:
    estimate, low, high = change["estimate"], change["low"], change["high"]
    difference = f"{_points(estimate)} points {_side(estimate)}" if estimate else "the same as"
    shown = f"top-1 is {difference} the baseline's"
    limit = f"evaluate.max_top1_drop allows {100 * allowed:.2f}"
    if high < -allowed:
        return f"{shown} (95% interval {_points(high)} to {_points(low)}); {limit}"
    return (
        f"{shown}, but with {change[EXAMPLES]:,} test images the 95% interval is {_points(high)} {_side(high)} to "
        f"{_points(low)} {_side(low)}; {limit}: use a larger test split or a larger limit"
    )


def _points(change: float) -> str:
    return f"{100 * abs(change):.2f}"


def _side(change: float) -> str:
    return "above" if change > 0 else "below"


def _place(slice_key: metrics_for_slice_pb2.SliceKey) -> tuple[int, int]:
    """Returns what sorts slices; the order in which TFMA writes them differs between its versions."""
    corruption, class_id = slice_of(slice_key)
    return [CLEAN, *_CORRUPTED_TITLES].index(corruption), -1 if class_id is None else class_id


def _slice_title(slice_key: metrics_for_slice_pb2.SliceKey, class_names: Sequence[str]) -> str:
    corruption, class_id = slice_of(slice_key)
    if corruption != CLEAN:
        return _CORRUPTED_TITLES[corruption]
    return "all test images" if class_id is None else _class_title(class_id, class_names)


def _class_title(class_id: int, class_names: Sequence[str]) -> str:
    return f"{_CLASS}{class_names[class_id] if class_id < len(class_names) else class_id}"


def _explain_missing_slice(spec: config_pb2.SlicingSpec) -> str:
    corruption = spec.feature_values[CORRUPTION]
    if corruption == CLEAN:
        return "the test split has no images to measure"
    return (
        f"the test split is too small to have {_CORRUPTED_TITLES[corruption]}, so evaluate.min_corrupted_top1 cannot "
        "be checked: use a larger test split, or set it to 0"
    )
