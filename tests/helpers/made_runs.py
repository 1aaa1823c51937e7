"""Runs made up for the tests of reports and comparisons."""

import json

import numpy as np

from pipeline.config import config_file
from pipeline.config.overrides import override
from pipeline.config.presets import quickstart
from pipeline.runs import predictions as saved_predictions
from pipeline.runs import run_result
from pipeline.runs.predictions import Predictions
from pipeline.runs.run_result import RunResult
from pipeline.runs.workspace import RunFolder

NAMES = ("cat", "dog & <i>wolf</i>")


def make_predictions(labels, answers, confidences=None, split="a") -> Predictions:
    """Returns the predictions of a test split; all its images are of one colour, that of their position."""
    labels, answers = np.array(labels, np.uint8), np.array(answers, np.uint8)
    told = np.full(len(labels), 0.75) if confidences is None else np.array(confidences)
    images = np.full((len(labels), 32, 32, 3), np.arange(len(labels)).reshape(-1, 1, 1, 1), np.uint8)
    wrong = np.flatnonzero(labels != answers)
    return Predictions(
        np.array("model"),
        np.array(split),
        labels,
        answers,
        told.astype(np.float32),
        wrong,
        images[wrong],
        images[:2],
        np.array([0, 1], np.uint8),
    )


def measure(predictions: Predictions, **more) -> dict:
    """Returns the metrics that the Evaluator would have measured of two classes."""
    confusion = np.zeros((2, 2), int)
    np.add.at(confusion, (predictions.labels, predictions.answers), 1)
    top1 = float(predictions.right.mean())
    shares = [float(confusion[k, k] / confusion[k].sum()) for k in range(2)]
    return {
        "top1": top1,
        "top5": 1.0,
        "loss": 0.5,
        "ece": 0.1,
        "examples": len(predictions.labels),
        "class_top1": shares,
        "confusion": confusion.tolist(),
        "corrupted_top1": {"blur": {"top1": 0.5, "examples": 40}},
    } | more


def make_run(workspace, run_id, predictions=None, settings=(), seconds=60.0, **result) -> RunFolder:
    """Makes the folder of a run that has ended, as far as it came."""
    folder = RunFolder(workspace.runs / run_id)
    folder.path.mkdir(parents=True)
    config_file.save(override(quickstart(), settings), folder.config)
    folder.outcome.write_text(json.dumps({"exit_code": 0, "message": None, "seconds": seconds}))
    if predictions is not None:
        saved_predictions.save(predictions, folder.predictions)
        result = {"metrics": measure(predictions)} | result
    run_result.write(folder, RunResult(**result))
    return folder
