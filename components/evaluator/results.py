"""What the Evaluator measured of the candidate."""

import math
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

import tensorflow_model_analysis as tfma

from components.evaluator.corruptions import CORRUPTIONS
from components.evaluator.eval_config import CONFUSION, ECE, EXAMPLES
from components.evaluator.extraction import CLEAN, CORRUPTION
from components.evaluator.intervals import paired_change, share_interval
from components.evaluator.metrics import GAINED, LOST
from shiftvit import features
from shiftvit.metrics import LOSS, TOP1, TOP5

Values = dict[str, Any]  # of a slice, by the name of the metric


def read_metrics(evaluation_uri: str) -> dict[str, Any]:
    """Returns what was measured of the candidate on the test split, as JSON-able data.

    `top1` and its interval of 95%, `top5`, `loss`, `ece` (the last two are None where the model answers NaN) and
    `examples` (a count) of all images; `class_top1`, a list by class id, None for a class without test images;
    `confusion`, counts in rows by true class id and columns by answered class id; `corrupted_top1`, by corruption
    `top1` and `examples`, of those that have images. Where there was a baseline, `top1_change` has `estimate` with
    `low` and `high` of its interval of 95%, and how many images the model `gained` and `lost`.
    """
    slices = _read_slices(evaluation_uri)
    overall = slices[CLEAN, None]
    top1, examples = overall[TOP1], int(overall[EXAMPLES])
    return {
        TOP1: top1,
        "top1_interval": list(share_interval(top1, examples)),
        TOP5: overall[TOP5],
        **{name: overall[name] if math.isfinite(overall[name]) else None for name in (LOSS, ECE)},
        EXAMPLES: examples,
        **({"top1_change": _change(overall, examples)} if GAINED in overall else {}),
        "class_top1": [slices.get((CLEAN, k), {}).get(TOP1) for k in range(features.NUM_CLASSES)],
        "corrupted_top1": {
            name: {TOP1: slices[name, None][TOP1], EXAMPLES: int(slices[name, None][EXAMPLES])}
            for name in CORRUPTIONS
            if (name, None) in slices
        },
        CONFUSION: _confusion_matrix(overall[CONFUSION]),
    }


def _read_slices(evaluation_uri: str) -> dict[tuple[str, int | None], Values]:
    """Returns the metrics by corruption and class id; None is all classes."""
    slices = {}
    for record in tfma.load_metrics(evaluation_uri):
        keys = {key.column: key for key in record.slice_key.single_slice_keys}
        class_id = keys[features.LABEL].int64_value if features.LABEL in keys else None
        slices[keys[CORRUPTION].bytes_value.decode(), class_id] = dict(_candidate_values(record))
    return slices


def _candidate_values(record) -> Iterator[tuple[str, Any]]:
    for item in record.metric_keys_and_values:
        if item.key.model_name != tfma.BASELINE_KEY and not item.key.is_diff:
            value = item.value
            yield item.key.name, value.double_value.value if value.HasField("double_value") else value


def _change(overall: Values, examples: int) -> dict[str, float]:
    gained, lost = int(overall[GAINED]), int(overall[LOST])
    return asdict(paired_change(examples, gained, lost)) | {"gained": gained, "lost": lost}


def _confusion_matrix(value) -> list[list[int]]:
    counts = [[0] * features.NUM_CLASSES for _ in range(features.NUM_CLASSES)]
    for entry in value.multi_class_confusion_matrix_at_thresholds.matrices[0].entries:
        counts[entry.actual_class_id][entry.predicted_class_id] = int(entry.num_weighted_examples)
    return counts
