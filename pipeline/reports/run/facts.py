"""All that the report of a run tells, as plain data; its pictures are in `pipeline.runs.predictions`."""

import csv
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from components.evaluator.calibration import BINS, EDGES, bin_of
from components.evaluator.intervals import share_interval
from pipeline.reports.details import examine
from pipeline.runs import results
from pipeline.runs.lineage import Lineage
from pipeline.runs.predictions import Predictions
from pipeline.runs.results import Run
from pipeline.runs.workspace import RunFolder, Workspace
from shiftvit.features import SPLITS

_CLASS_COUNTS = "_class_counts"  # how the names of the data gate's properties end that have the counts of a split
_TRAINER, _TRAINER_RECORD = "Trainer", "model_run"
_HISTORY_FILE, _EXPERIMENT_FILE = "history.csv", "experiment.json"  # as components/trainer/training.py keeps them

Facts = dict[str, Any]


def collect(workspace: Workspace, folder: RunFolder, predictions: Predictions | None) -> Facts:
    """Returns what `details.examine` does, and more of the graph, the data, the training and the answers."""
    run = results.read_run(folder, Lineage(workspace.metadata))
    facts = examine(workspace, folder)
    return facts | {
        "started": run.executions[0].started if run.executions else None,
        "graph": _read_graph(folder),
        "class_names": results.class_names(run),
        "class_counts": _class_counts(facts["data"]),
        "history": read_history(run),
        "trained": read_trained(run),
        "reasons": run.result.reasons if run.result else None,
        "machine": run.result.machine if run.result else None,
        "calibration": calibration(predictions) if predictions else [],
        "mistakes": _mistakes(predictions) if predictions else [],
    }


def _read_graph(folder: RunFolder) -> dict[str, list[str]]:
    return json.loads(folder.graph.read_text()) if folder.graph.exists() else {}


def _class_counts(measured: Mapping[str, Any]) -> dict[str, list[int]]:
    names = {split: f"{split}{_CLASS_COUNTS}" for split in SPLITS}
    return {split: json.loads(measured[name]) for split, name in names.items() if name in measured}


def read_history(run: Run) -> list[dict[str, float]]:
    """Returns a row for each epoch of the training: epoch from 1, and what was measured; none where it is not there."""
    for path in _records(run, _HISTORY_FILE):
        with path.open() as file:
            rows = [{name: float(v) for name, v in row.items() if v} for row in csv.DictReader(file)]
        return [row | {"epoch": int(row["epoch"]) + 1} for row in rows]
    return []


def read_trained(run: Run) -> dict[str, Any]:
    """Returns the settings that the model was trained with, those that a search found included; empty without one."""
    return next((json.loads(path.read_text()) for path in _records(run, _EXPERIMENT_FILE)), {})


def _records(run: Run, name: str) -> list[Path]:
    made = [a for e in run.executions if e.node == _TRAINER for a in e.outputs.get(_TRAINER_RECORD, ())]
    return [path for artifact in made if (path := Path(artifact.uri) / name).exists()]


def calibration(predictions: Predictions) -> list[dict[str, float]]:
    """Returns each bin of confidence that has images: low, high, images, confidence (mean), and the share top1 right.

    Answers that are no numbers are in none.
    """
    told = np.isfinite(predictions.confidences)
    confidences, right = predictions.confidences[told].astype(float), predictions.right[told]
    numbers = bin_of(confidences)
    images = np.bincount(numbers, minlength=BINS)
    means = np.bincount(numbers, confidences, BINS) / np.maximum(images, 1)
    shares = np.bincount(numbers, right, BINS) / np.maximum(images, 1)
    return [
        {
            "low": float(EDGES[k]),
            "high": float(EDGES[k + 1]),
            "images": int(images[k]),
            "confidence": float(means[k]),
            "top1": float(shares[k]),
            "top1_interval": list(share_interval(float(shares[k]), int(images[k]))),
        }
        for k in np.flatnonzero(images)
    ]


def _mistakes(predictions: Predictions) -> list[dict[str, Any]]:
    return [
        {
            "position": int(position),
            "label": int(predictions.labels[position]),
            "answer": int(predictions.answers[position]),
            "confidence": float(predictions.confidences[position]),
        }
        for position in predictions.mistakes
    ]


def name_of(names: Sequence[str], class_id: int) -> str:
    """Returns the name of a class; its id where the data tells no names."""
    return names[class_id] if class_id < len(names) else str(class_id)
