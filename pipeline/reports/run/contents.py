"""What the report of a run shows, read once; the other modules of this package render it."""

import dataclasses
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from components.data_gate.measurements import CLASS_COUNTS, of_split
from components.evaluator.calibration import EDGES, bin_of
from components.evaluator.intervals import share_interval
from pipeline.reports.details import RunDetails, read_details
from pipeline.runs import predictions as saved_predictions
from pipeline.runs.predictions import Predictions
from pipeline.runs.run import Run
from pipeline.runs.workspace import RunFolder, Workspace
from shiftvit.features import SPLITS
from tuner import results
from tuner.results import Results


@dataclass(frozen=True)
class CalibrationBin:
    """The answers whose confidence is in one bin.

    Attributes:
        low: start of the bin.
        high: end of the bin.
        images: how many, at least one.
        confidence: mean.
        top1: share that is right.
        top1_interval: of 95%.
    """

    low: float
    high: float
    images: int
    confidence: float
    top1: float
    top1_interval: tuple[float, float]


@dataclass(frozen=True)
class Mistake:
    """A wrong answer.

    Attributes:
        position: of the image in the test split.
        label: true class id.
        answer: answered class id.
        confidence: the probability of the answer.
    """

    position: int
    label: int
    answer: int
    confidence: float


@dataclass(frozen=True)
class ReportContents:
    """Everything the report of a run shows.

    Attributes:
        details: what `shiftvit show` prints.
        graph: ids of the upstream nodes by node id; empty if the run did not get that far.
        history: a row per epoch of the training, as `shiftvit.training_record.read_history` returns it.
        experiment: the configuration that was trained, with the search's hyperparameters; empty without a training.
        search: the trials; None without a search.
        predictions: None if they were not saved.
    """

    details: RunDetails
    graph: Mapping[str, Sequence[str]] = dataclasses.field(default_factory=dict)
    history: Sequence[Mapping[str, float]] = ()
    experiment: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    search: Results | None = None
    predictions: Predictions | None = None

    @property
    def run(self) -> Run:
        """The run itself."""
        return self.details.run

    @property
    def started(self) -> float | None:
        """When the first node started, in seconds since 1970."""
        return self.run.executions[0].started if self.run.executions else None

    @cached_property
    def class_counts(self) -> dict[str, list[int]]:
        """Images of each class id, by split; empty if the data gate did not count them."""
        counts = {split: self.details.data.get(of_split(split, CLASS_COUNTS)) for split in SPLITS}
        return {split: json.loads(text) for split, text in counts.items() if text is not None}

    @cached_property
    def calibration(self) -> list[CalibrationBin]:
        """The bins that have images, by confidence."""
        return bin_by_confidence(self.predictions) if self.predictions else []

    @cached_property
    def mistakes(self) -> list[Mistake]:
        """The most confident mistakes, in the order of `Predictions.mistake_images`."""
        saved = self.predictions
        if saved is None:
            return []
        return [
            Mistake(int(p), int(saved.labels[p]), int(saved.answers[p]), float(saved.confidences[p]))
            for p in saved.mistakes
        ]

    def to_dict(self) -> dict[str, Any]:
        """Returns the contents as JSON-serialisable data, for `--json`."""
        result = self.run.result
        return self.details.to_dict() | {
            "started": self.started,
            "graph": self.graph,
            "class_names": self.run.class_names,
            "class_counts": self.class_counts,
            "history": self.history,
            "trained": self.experiment,
            "reasons": result.reasons if result else None,
            "machine": result.machine if result else None,
            "calibration": [dataclasses.asdict(each) for each in self.calibration],
            "mistakes": [dataclasses.asdict(mistake) for mistake in self.mistakes],
        }


def read_contents(workspace: Workspace, folder: RunFolder) -> ReportContents:
    """Reads what the report of a run shows."""
    details = read_details(workspace, folder)
    return ReportContents(
        details,
        graph=json.loads(folder.graph.read_text(encoding="utf-8")) if folder.graph.exists() else {},
        history=details.run.history,
        experiment=details.run.experiment,
        search=results.read(Path(details.search.report).with_name(results.RESULTS_FILE)) if details.search else None,
        predictions=saved_predictions.load(folder.predictions),
    )


def bin_by_confidence(predictions: Predictions) -> list[CalibrationBin]:
    """Returns the bins that have images; leaves out answers whose confidence is NaN."""
    finite = np.isfinite(predictions.confidences)
    confidences, right = predictions.confidences[finite].astype(float), predictions.right[finite]
    numbers = bin_of(confidences)
    bins = []
    for k in np.unique(numbers):
        inside = numbers == k
        images, confidence, top1 = int(inside.sum()), float(confidences[inside].mean()), float(right[inside].mean())
        low, high = map(float, EDGES[k : k + 2])
        bins.append(CalibrationBin(low, high, images, confidence, top1, share_interval(top1, images)))
    return bins
