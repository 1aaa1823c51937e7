"""Compares runs: their settings, the quality of their models, and the change of top-1 from the first run."""

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from charts.formats import percent
from components.evaluator.intervals import Change, paired_change, unpaired_change
from components.example_gen.source_identity import SHA256
from pipeline.reports.settings import flatten
from pipeline.reports.wording import WITH_INTERVAL, describe_change, describe_share, format_loss
from pipeline.runs import predictions as saved_predictions
from pipeline.runs.lineage import Lineage
from pipeline.runs.predictions import Predictions
from pipeline.runs.run import Run, read_run
from pipeline.runs.workspace import RunFolder, Workspace
from shiftvit.metrics import ECE, LOSS, MACRO_F1, TITLES, TOP1, TOP5

CAUTION = (
    "The 95% intervals cover the choice of test images, not the randomness of training: another seed can change the "
    "figures by more."
)


@dataclass(frozen=True)
class Top1Change:
    """The change of top-1 from one run to another.

    Attributes:
        change: with its interval.
        images: test images that both models answered; 0 if the change is unpaired.
        gained: of them, those that only the later model has right.
        lost: of them, those that only the first has right.
    """

    change: Change
    images: int = 0
    gained: int = 0
    lost: int = 0

    def to_dict(self) -> dict[str, Any]:
        """Returns the change as plain data; without the counts if it is unpaired."""
        counts = {"images": self.images, "gained": self.gained, "lost": self.lost} if self.images else {}
        return dataclasses.asdict(self.change) | counts


@dataclass(frozen=True)
class Comparison:
    """A comparison of two or more runs.

    Attributes:
        runs: in the order they were named.
        settings: those that differ, by dotted name: the value in each run, None if it has none.
        changes: of top-1, from the first run to each other run; None if one of the two has no evaluated model.
    """

    runs: Sequence[Run]
    settings: Mapping[str, Sequence[Any]]
    changes: Sequence[Top1Change | None]

    def to_dict(self) -> dict[str, Any]:
        """Returns the comparison as JSON-serialisable data, for `--json`."""
        return {
            "runs": [_run_to_dict(run) for run in self.runs],
            "settings": self.settings,
            "changes": [change and change.to_dict() for change in self.changes],
        }

    def quality(self) -> dict[str, list[str]]:
        """Returns the measurements of each run's model, formatted, by title."""
        metrics = [run.metrics for run in self.runs]
        corrupted = [each.get("corrupted_top1", {}) for each in metrics]
        return {
            WITH_INTERVAL: [_share(each) for each in metrics],
            **self._percentages(TOP5),
            **self._percentages(MACRO_F1),
            TITLES[LOSS]: [format_loss(each[LOSS]) if each else "" for each in metrics],
            TITLES[ECE]: [format_loss(each[ECE]) if each else "" for each in metrics],
            **{
                f"{TITLES[TOP1]} with {name}": [_share(each.get(name, {})) for each in corrupted]
                for name in dict.fromkeys(name for each in corrupted for name in each)
            },
            "test images": [f"{each['examples']:,}" if each else "" for each in metrics],
        }

    def _percentages(self, name: str) -> dict[str, list[str]]:
        """Returns a row of a metric in percent, or none if no run has the metric."""
        values = [run.metrics.get(name) for run in self.runs]
        return {TITLES[name]: list(map(percent, values))} if any(value is not None for value in values) else {}

    def sentences(self) -> list[str]:
        """Returns the change of top-1 in each later run, and what the intervals mean."""
        first, *others = (run.folder.id for run in self.runs)
        changes = [f"{o} against {first}: {_describe(c)}" for o, c in zip(others, self.changes, strict=True)]
        same = [] if self.settings else ["All settings are the same, so any difference is chance."]
        return [*same, *changes, CAUTION]


def compare(workspace: Workspace, folders: Sequence[RunFolder]) -> Comparison:
    """Compares two or more runs of a workspace."""
    lineage = Lineage(workspace.metadata)
    runs = [read_run(folder, lineage) for folder in folders]
    predictions = [saved_predictions.load(folder.predictions) for folder in folders]
    return Comparison(
        runs,
        _differing([_settings(run) for run in runs]),
        [_change(runs[0], run, predictions[0], saved) for run, saved in zip(runs[1:], predictions[1:], strict=True)],
    )


def _run_to_dict(run: Run) -> dict[str, Any]:
    plain = run.to_dict()
    compared = {name: plain[name] for name in ("id", "state", "seconds", "pushed_version", "metrics")}
    return compared | {"history": run.history}


def _settings(run: Run) -> dict[str, Any]:
    """Returns what made the model: the settings, with the search's hyperparameters, the code and the data."""
    digests = (a.properties[SHA256] for a in run.artifacts if SHA256 in a.properties)
    machine = run.result and run.result.machine
    origin = {"code": machine and machine.get("code"), "data (SHA-256)": next(digests, None)}
    return flatten(run.config) | flatten(run.experiment) | origin


def _differing(settings: Sequence[Mapping[str, Any]]) -> dict[str, list[Any]]:
    names = dict.fromkeys(name for per_run in settings for name in per_run)
    values = {name: [per_run.get(name) for per_run in settings] for name in names}
    return {name: per_run for name, per_run in values.items() if any(value != per_run[0] for value in per_run)}


def _change(first: Run, other: Run, before: Predictions | None, after: Predictions | None) -> Top1Change | None:
    """Pairs the answers of both models if they are to the same test images, which narrows the interval."""
    if not (first.metrics and other.metrics):
        return None
    if before is not None and after is not None and before.split == after.split:
        images = len(before.labels)
        gained, lost = int(np.sum(after.right & ~before.right)), int(np.sum(before.right & ~after.right))
        return Top1Change(paired_change(images, gained, lost), images, gained, lost)
    shares = [(run.metrics[TOP1], run.metrics["examples"]) for run in (first, other)]
    return Top1Change(unpaired_change(*shares))


def _describe(change: Top1Change | None) -> str:
    if change is None:
        return "cannot be compared, because one of the two runs has no evaluated model."
    if not change.images:
        return f"{describe_change(change.change)}; unpaired, as the test images differ or predictions were not saved."
    return (
        f"{describe_change(change.change)}, on the same {change.images:,} test images: {change.gained:,} gained, "
        f"{change.lost:,} lost."
    )


def _share(metrics: Mapping[str, Any]) -> str:
    return describe_share(metrics[TOP1], metrics["examples"]) if metrics else ""
