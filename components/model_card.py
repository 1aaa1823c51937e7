"""Writes the model card of a pushed version (Mitchell et al., 2019) in Markdown, from the artifacts of its run."""

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from components.evaluator.class_scores import class_scores
from components.evaluator.intervals import share_interval
from components.example_gen.source_identity import IMAGE_SIZE, KIND, PUBLISHED, SHA256, class_names, count_property
from shiftvit.features import EVAL, TEST, TRAIN
from shiftvit.metrics import MACRO_F1, TOP5

Json = Mapping[str, Any]


def write(metrics: Json, experiment: Json, data: Json, pushed: float) -> str:
    """Returns the card.

    Args:
        metrics: as `components.evaluator.results.read_metrics` returns them.
        experiment: the configuration that was trained, as the Trainer records it.
        data: properties of the Examples artifact, `components.example_gen.source_identity.PROPERTIES`.
        pushed: time of the push, in seconds since 1970.
    """
    names = class_names(data)
    sections = {
        "Model details": _details(experiment, pushed),
        "Intended use": _use(names, int(data[IMAGE_SIZE])),
        "Factors": _factors(metrics),
        "Metrics": _metrics(metrics),
        "Evaluation data": _evaluation_data(data),
        "Training data": _training_data(experiment, data),
        "Quantitative analyses": _analyses(metrics, names),
        "Ethical considerations": _ethics(data),
        "Caveats and recommendations": _caveats(metrics),
    }
    return "# Model card\n\n" + "\n".join(f"## {title}\n\n{_join(lines)}\n" for title, lines in sections.items())


def _join(lines: Iterator[str]) -> str:
    return "\n".join(lines)


def _details(experiment: Json, pushed: float) -> Iterator[str]:
    yield (
        'ShiftViT (Wang et al., "When Shift Operation Meets Vision Transformer", 2022), an image classifier whose '
        "blocks mix pixels by shifting some channels by one pixel, without attention."
    )
    yield (
        f"\nPushed on {time.strftime('%Y-%m-%d', time.gmtime(pushed))} (UTC). Settings of the model, the augmentation "
        "(`data`) and the training:\n"
    )
    for group in ("model", "data", "train"):
        yield f"- {group}: {', '.join(f'{name}={_value(v)}' for name, v in experiment[group].items())}"


def _use(names: Sequence[str], size: int) -> Iterator[str]:
    yield (
        f"Classifies images of {size} x {size} pixels into {len(names)} classes: {', '.join(names)}. Resizes images "
        "of other sizes."
    )
    yield (
        "\nThe model assigns one of these classes to every image, even if none applies. The pipeline that made it "
        "evaluates no particular use: this card lists all that was measured."
    )


def _factors(metrics: Json) -> Iterator[str]:
    corrupted = ", ".join(metrics["corrupted_top1"])
    copies = f" and on corrupted copies of the images ({corrupted})" if corrupted else ""
    yield f"Metrics were computed for each class{copies}."
    yield "The data has no other attributes, so no other groups were compared."


def _metrics(metrics: Json) -> Iterator[str]:
    yield "- Top-1: share of images whose true class has the highest score."
    if TOP5 in metrics:
        yield "- Top-5: share of images whose true class has one of the five highest scores."
    yield (
        "- Precision of a class: share of the answers with the class that are right. F1: harmonic mean of precision "
        "and recall, which is the class's top-1. Macro-F1: mean F1 of the classes, each counting the same."
    )
    yield "- Expected calibration error: mean gap between confidence and accuracy."
    yield "- Intervals are at 95% (Wilson); the change from the baseline is paired (Agresti and Min)."
    yield "\nThe model predicts the class with the highest probability; there is no decision threshold."


def _evaluation_data(data: Json) -> Iterator[str]:
    yield (
        f"Split {TEST}, {_count(data, TEST)} images, which neither training nor the hyperparameter search used. "
        f"{_source(data)}"
    )


def _training_data(experiment: Json, data: Json) -> Iterator[str]:
    yield (
        f"Split {TRAIN}, {_count(data, TRAIN)} images, augmented with the `data` settings above, for "
        f"{experiment['train']['epochs']} epochs. Split {EVAL}, {_count(data, EVAL)} images, served for validation. "
        f"{_source(data)}"
    )


def _count(data: Json, split: str) -> str:
    return f"{int(data[count_property(split)]):,}"


def _source(data: Json) -> str:
    checksum = "as published" if data[PUBLISHED] else "not as published"  # on Kubeflow, 0 arrives as None
    return f"Source: {data[KIND]}, SHA-256 {data[SHA256]} ({checksum})."


def _analyses(metrics: Json, names: Sequence[str]) -> Iterator[str]:
    yield from ("| | images | top-1 | 95% interval | precision | F1 |", "|---|---:|---:|---|---:|---:|")
    yield _row("all", metrics["top1"], metrics["examples"])
    for name, scores in zip(names, class_scores(metrics["confusion"]), strict=True):
        if scores.recall is not None:
            yield _row(name, scores.recall, scores.images, scores.precision, scores.f1)
    for name, corrupted in metrics["corrupted_top1"].items():
        yield _row(f"with {name}", corrupted["top1"], corrupted["examples"])
    top5 = f"Top-5: {metrics[TOP5]:.1%}. " if TOP5 in metrics else ""
    yield f"\nMacro-F1: {metrics[MACRO_F1]:.1%}. {top5}Loss: {metrics['loss']:.4f}."
    yield f"Expected calibration error: {metrics['ece']:.4f}."
    if "top1_change" in metrics:
        change = metrics["top1_change"]
        yield (
            f"\nCompared with the baseline, top-1 changed by {100 * change['estimate']:+.1f} points (95% interval "
            f"{100 * change['low']:+.1f} to {100 * change['high']:+.1f}) on the same images."
        )


def _row(name: str, top1: float, images: int, *scores: float | None) -> str:
    low, high = share_interval(top1, images)
    precision, f1 = ("" if score is None else f"{score:.1%}" for score in scores or (None, None))
    return f"| {name} | {images:,} | {top1:.1%} | {low:.1%} to {high:.1%} | {precision} | {f1} |"


def _ethics(data: Json) -> Iterator[str]:
    yield (f"Not examined by the pipeline. The model reproduces the biases and gaps of its source ({data[KIND]}).")


def _caveats(metrics: Json) -> Iterator[str]:
    yield (
        f"All figures come from one training run and {metrics['examples']:,} test images from the same source as the "
        "training images. Expect others on other images or after another training run: evaluate the model on your own "
        "images before you rely on it."
    )


def _value(value: Any) -> str:
    return ",".join(map(str, value)) if isinstance(value, list) else json.dumps(value).strip('"')
