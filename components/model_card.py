"""The model card of a pushed version (Mitchell et al., 2019), in Markdown: what its artifacts tell and nothing else."""

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from components.evaluator.intervals import share_interval
from components.example_gen.source_identity import KIND, PUBLISHED, SHA256, class_names, count_property
from shiftvit.features import EVAL, IMAGE_SHAPE, TEST, TRAIN

Json = Mapping[str, Any]

_LAID_OUT = "Settings of the model, the augmentation and the training"


def write(metrics: Json, experiment: Json, data: Json, pushed: float) -> str:
    """Returns the card.

    Args:
        metrics: what the Evaluator measured, as `components.evaluator.results.read_metrics` gives it.
        experiment: what was trained, as the Trainer keeps it.
        data: those PROPERTIES.
        pushed: when, in seconds since 1970.
    """
    names = class_names(data)
    parts = {
        "Model details": _details(experiment, pushed),
        "Intended use": _use(names),
        "Factors": _factors(metrics),
        "Metrics": _metrics(),
        "Evaluation data": _evaluation_data(data),
        "Training data": _training_data(experiment, data),
        "Quantitative analyses": _analyses(metrics, names),
        "Ethical considerations": _ethics(data),
        "Caveats and recommendations": _caveats(metrics),
    }
    return "# Model card\n\n" + "\n".join(f"## {title}\n\n{_joined(lines)}\n" for title, lines in parts.items())


def _joined(lines: Iterator[str]) -> str:
    return "\n".join(lines)


def _details(experiment: Json, pushed: float) -> Iterator[str]:
    yield (
        'ShiftViT (Wang et al., "When Shift Operation Meets Vision Transformer", 2022), an image classifier whose '
        "blocks mix pixels by shifting some channels by a pixel instead of by attention."
    )
    yield f"\nPushed on {time.strftime('%Y-%m-%d', time.gmtime(pushed))} (UTC). {_LAID_OUT}:\n"
    for group in ("model", "data", "train"):
        yield f"- {group}: {', '.join(f'{name}={_value(v)}' for name, v in experiment[group].items())}"


def _use(names: Sequence[str]) -> Iterator[str]:
    height, width, _ = IMAGE_SHAPE
    yield (
        f"It tells which of {len(names)} classes a picture of {width} x {height} pixels shows: {', '.join(names)}. It "
        "resizes pictures of other sizes to that."
    )
    yield (
        "\nIt has no answer for what belongs to none of these classes, and names one of them for any picture. The "
        "pipeline that made it examines no use of it: what is told here is all that was measured."
    )


def _factors(metrics: Json) -> Iterator[str]:
    corrupted = ", ".join(metrics["corrupted_top1"])
    copies = f", and on corrupted copies of the images: {corrupted}" if corrupted else ""
    yield f"Quality was measured for each class{copies}."
    yield "Nothing else about the pictures is known, so nothing else was told apart."


def _metrics() -> Iterator[str]:
    yield "- Top-1 and top-5: how often the true class is the first answer, or among the first five."
    yield "- Expected calibration error: the mean distance of the answers' confidence from how often they are right."
    yield "- Intervals are of 95% (Wilson); a change from the baseline is paired (Agresti and Min)."
    yield "\nThe first answer is the class of the greatest probability; there is no threshold."


def _evaluation_data(data: Json) -> Iterator[str]:
    yield (
        f"Split {TEST}, {_count(data, TEST)} images, which neither training nor the search for settings read. "
        f"{_source(data)}"
    )


def _training_data(experiment: Json, data: Json) -> Iterator[str]:
    yield (
        f"Split {TRAIN}, {_count(data, TRAIN)} images, augmented as the settings of `data` above say; after each of "
        f"{experiment['train']['epochs']} epochs it was measured on split {EVAL}, {_count(data, EVAL)} images. "
        f"{_source(data)}"
    )


def _count(data: Json, split: str) -> str:
    return f"{int(data[count_property(split)]):,}"


def _source(data: Json) -> str:
    checksum = "a published one" if data[PUBLISHED] else "not a published one"  # on Kubeflow, 0 arrives as None
    return f"Source: {data[KIND]}, SHA-256 {data[SHA256]} ({checksum})."


def _analyses(metrics: Json, names: Sequence[str]) -> Iterator[str]:
    yield from ("| | images | top-1 | 95% interval |", "|---|---:|---:|---|")
    yield _row("all", metrics["top1"], metrics["examples"])
    for name, row, top1 in zip(names, metrics["confusion"], metrics["class_top1"], strict=True):
        if top1 is not None:
            yield _row(name, top1, sum(row))
    for name, found in metrics["corrupted_top1"].items():
        yield _row(f"with {name}", found["top1"], found["examples"])
    yield f"\nTop-5: {metrics['top5']:.1%}. Loss: {metrics['loss']:.4f}."
    yield f"Expected calibration error: {metrics['ece']:.4f}."
    if "top1_change" in metrics:
        change = metrics["top1_change"]
        yield (
            f"\nFrom the baseline, top-1 changed by {100 * change['estimate']:+.1f} points (95% interval "
            f"{100 * change['low']:+.1f} to {100 * change['high']:+.1f}) on the same images."
        )


def _row(name: str, top1: float, images: int) -> str:
    low, high = share_interval(top1, images)
    return f"| {name} | {images:,} | {top1:.1%} | {low:.1%} to {high:.1%} |"


def _ethics(data: Json) -> Iterator[str]:
    yield (
        f"The pipeline examines none. What the source ({data[KIND]}) holds, and what it leaves out, the model repeats."
    )


def _caveats(metrics: Json) -> Iterator[str]:
    yield (
        f"All figures are of one training and of {metrics['examples']:,} test images from the same source as the "
        "training images: on others, or trained again, expect other ones. Measure it on pictures of your own before "
        "you rely on it."
    )


def _value(value: Any) -> str:
    return ",".join(map(str, value)) if isinstance(value, list) else json.dumps(value).strip('"')
