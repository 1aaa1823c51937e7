"""Small made-up runs, for the tests of reports and comparisons."""

import json

import numpy as np

from components.evaluator.class_scores import score_metrics
from pipeline.config import config_file
from pipeline.config.overrides import override
from pipeline.config.presets import quickstart
from pipeline.runs import predictions as saved_predictions
from pipeline.runs import run_result
from pipeline.runs.predictions import Predictions
from pipeline.runs.run_result import RunResult
from pipeline.runs.workspace import RunFolder

CLASS_NAMES = ("cat", "dog & <i>wolf</i>")


def make_predictions(labels, answers, confidences=None, split="a") -> Predictions:
    """Returns predictions for a test split whose images have one colour each, their position."""
    labels, answers = np.array(labels, np.uint8), np.array(answers, np.uint8)
    confidences = np.full(len(labels), 0.75) if confidences is None else np.array(confidences)
    images = np.full((len(labels), 32, 32, 3), np.arange(len(labels)).reshape(-1, 1, 1, 1), np.uint8)
    wrong = np.flatnonzero(labels != answers)
    return Predictions(
        model=np.array("model"),
        split=np.array(split),
        labels=labels,
        answers=answers,
        confidences=confidences.astype(np.float32),
        mistakes=wrong,
        mistake_images=images[wrong],
        sample_images=images[:2],
        sample_labels=np.array([0, 1], np.uint8),
    )


def make_metrics(predictions: Predictions, **others) -> dict:
    """Returns the metrics that the Evaluator would measure for predictions of two classes."""
    confusion = np.zeros((2, 2), int)
    np.add.at(confusion, (predictions.labels, predictions.answers), 1)
    return {
        "top1": float(predictions.right.mean()),
        "loss": 0.5,
        "ece": 0.1,
        "examples": len(predictions.labels),
        "class_top1": [float(confusion[k, k] / confusion[k].sum()) for k in range(2)],
        **score_metrics(confusion.tolist()),
        "confusion": confusion.tolist(),
        "corrupted_top1": {"blur": {"top1": 0.5, "examples": 40}},
    } | others


def make_run(workspace, run_id, predictions=None, settings=(), seconds=60.0, **result) -> RunFolder:
    """Makes the folder of a run that has ended; with predictions, their metrics are part of its result."""
    folder = RunFolder(workspace.runs / run_id)
    folder.path.mkdir(parents=True)
    config_file.save(override(quickstart(), settings), folder.config)
    folder.outcome.write_text(json.dumps({"exit_code": 0, "message": None, "seconds": seconds}))
    if predictions is not None:
        saved_predictions.save(predictions, folder.predictions)
        result = {"metrics": make_metrics(predictions)} | result
    run_result.write(folder, RunResult(**result))
    return folder
