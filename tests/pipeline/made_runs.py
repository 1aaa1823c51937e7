"""Runs made up for the tests of reports and comparisons."""

import json

import numpy as np

from pipeline import config as configuration
from pipeline import evidence as evidences
from pipeline.config import override
from pipeline.evidence import Evidence
from pipeline.presets import quickstart
from pipeline.workspace import RunFolder

NAMES = ("cat", "dog & <i>wolf</i>")


def make_evidence(labels, answers, confidences=None, split="a") -> Evidence:
    """Returns the evidence of a test split; all its images are of one colour, that of their position."""
    labels, answers = np.array(labels, np.uint8), np.array(answers, np.uint8)
    told = np.full(len(labels), 0.75) if confidences is None else np.array(confidences)
    images = np.full((len(labels), 32, 32, 3), np.arange(len(labels)).reshape(-1, 1, 1, 1), np.uint8)
    wrong = np.flatnonzero(labels != answers)
    return Evidence(
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


def measure(evidence: Evidence, **more) -> dict:
    """Returns the metrics that the Evaluator would have measured of two classes."""
    confusion = np.zeros((2, 2), int)
    np.add.at(confusion, (evidence.labels, evidence.answers), 1)
    top1 = float(evidence.right.mean())
    shares = [float(confusion[k, k] / confusion[k].sum()) for k in range(2)]
    return {
        "top1": top1,
        "top5": 1.0,
        "loss": 0.5,
        "ece": 0.1,
        "examples": len(evidence.labels),
        "class_top1": shares,
        "confusion": confusion.tolist(),
        "corrupted_top1": {"blur": {"top1": 0.5, "examples": 40}},
    } | more


def make_run(workspace, run_id, evidence=None, settings=(), seconds=60.0, **result) -> RunFolder:
    """Makes the folder of a run that has ended, as far as it came."""
    folder = RunFolder(workspace.runs / run_id)
    folder.path.mkdir(parents=True)
    configuration.save(override(quickstart(), settings), folder.config)
    folder.outcome.write_text(json.dumps({"exit_code": 0, "message": None, "seconds": seconds}))
    if evidence is not None:
        evidences.save(evidence, folder.evidence)
        result = {"metrics": measure(evidence)} | result
    folder.result.write_text(json.dumps({"pushed_version": None, "reasons": []} | result))
    return folder
