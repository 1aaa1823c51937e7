"""Reads the metrics that the Evaluator computed."""

import math
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

import tensorflow_model_analysis as tfma
from tensorflow_model_analysis.proto import metrics_for_slice_pb2

from components.evaluator.class_scores import score_metrics
from components.evaluator.corruptions import CORRUPTIONS
from components.evaluator.eval_config import CONFUSION, EXAMPLES, TOP1_CHANGE
from components.evaluator.extraction import CLEAN, CORRUPTION
from components.evaluator.intervals import paired_change, share_interval
from components.evaluator.metrics import GAINED, LOST
from shiftvit import features
from shiftvit.files import paths
from shiftvit.metrics import ECE, LOSS, TOP1, TOP5, of_class

Values = dict[str, Any]  # of a slice, by the name of the metric


def read_metrics(evaluation_uri: str, num_classes: int) -> dict[str, Any]:
    """Returns the candidate's metrics on the test split, of `num_classes` classes, as plain data.

    - `top1`, `top1_interval` (its 95% interval), `loss`, `ece`: the last two are None if the model answers NaN.
    - `top5`, only with more than five classes.
    - `examples`: the number of test images.
    - `macro_f1`: the mean F1 of the classes.
    - `class_top1`: top-1 by class id, None for a class without test images; `class_recall`, the same, `class_precision`
      and `class_f1`: the scores of `components.evaluator.class_scores`.
    - `confusion`: counts, in rows by true class id and columns by predicted class id.
    - `corrupted_top1`: for each corruption that has images, its `top1` and `examples`.
    - `top1_change`, only if there was a baseline: `estimate`, its 95% interval `low` to `high`, and the numbers of
      images `gained` and `lost`.
    """
    slices = _read_slices(evaluation_uri)
    overall = slices[CLEAN, None]
    top1, examples = overall[TOP1], int(overall[EXAMPLES])
    confusion = _confusion_matrix(overall[CONFUSION], num_classes)
    return {
        TOP1: top1,
        "top1_interval": list(share_interval(top1, examples)),
        **({TOP5: overall[TOP5]} if TOP5 in overall else {}),
        **{name: overall[name] if math.isfinite(overall[name]) else None for name in (LOSS, ECE)},
        EXAMPLES: examples,
        **({TOP1_CHANGE: _change(overall, examples)} if GAINED in overall else {}),
        of_class(TOP1): [slices.get((CLEAN, k), {}).get(TOP1) for k in range(num_classes)],
        **score_metrics(confusion),
        "corrupted_top1": {
            name: {TOP1: slices[name, None][TOP1], EXAMPLES: int(slices[name, None][EXAMPLES])}
            for name in CORRUPTIONS
            if (name, None) in slices
        },
        CONFUSION: confusion,
    }


def _read_slices(evaluation_uri: str) -> dict[tuple[str, int | None], Values]:
    """Returns the metrics by corruption and class id; a class id of None stands for all classes."""
    slices = {}
    for record in tfma.load_metrics(paths.plain(evaluation_uri)):
        slices[slice_of(record.slice_key)] = dict(_candidate_values(record))
    return slices


def slice_of(slice_key: metrics_for_slice_pb2.SliceKey) -> tuple[str, int | None]:
    """Returns the corruption and the class id of a slice; a class id of None stands for all classes."""
    keys = {key.column: key for key in slice_key.single_slice_keys}
    return keys[CORRUPTION].bytes_value.decode(), keys[features.LABEL].int64_value if features.LABEL in keys else None


def _candidate_values(record: metrics_for_slice_pb2.MetricsForSlice) -> Iterator[tuple[str, Any]]:
    for item in record.metric_keys_and_values:
        if item.key.model_name != tfma.BASELINE_KEY and not item.key.is_diff:
            value = item.value
            yield item.key.name, value.double_value.value if value.HasField("double_value") else value


def read_change(evaluation_uri: str) -> dict[str, Any]:
    """Returns `top1_change` of `read_metrics`, and `examples`."""
    overall = _read_slices(evaluation_uri)[CLEAN, None]
    examples = int(overall[EXAMPLES])
    return _change(overall, examples) | {EXAMPLES: examples}


def read_commonest(evaluation_uri: str) -> dict[str, Any]:
    """Returns `top1` and `top1_interval` of `read_metrics`, and `class_id` and `share` of the commonest class."""
    overall = _read_slices(evaluation_uri)[CLEAN, None]
    counts: Counter[int] = Counter()
    for entry in overall[CONFUSION].multi_class_confusion_matrix_at_thresholds.matrices[0].entries:
        counts[entry.actual_class_id] += int(entry.num_weighted_examples)
    [(class_id, images)] = counts.most_common(1)
    top1, examples = overall[TOP1], int(overall[EXAMPLES])
    interval = list(share_interval(top1, examples))
    return {TOP1: top1, "top1_interval": interval, "class_id": class_id, "share": images / examples}


def _change(overall: Values, examples: int) -> dict[str, float]:
    gained, lost = int(overall[GAINED]), int(overall[LOST])
    return asdict(paired_change(examples, gained, lost)) | {"gained": gained, "lost": lost}


def _confusion_matrix(value: metrics_for_slice_pb2.MetricValue, num_classes: int) -> list[list[int]]:
    counts = [[0] * num_classes for _ in range(num_classes)]
    for entry in value.multi_class_confusion_matrix_at_thresholds.matrices[0].entries:
        counts[entry.actual_class_id][entry.predicted_class_id] = int(entry.num_weighted_examples)
    return counts
