"""What differs between runs, as plain data, and what came of it."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from charts.formats import percent
from components.evaluator.intervals import paired_change, unpaired_change
from components.example_gen.source_identity import SHA256
from pipeline.reports.run.facts import read_history, read_trained
from pipeline.reports.wording import describe, share
from pipeline.runs import predictions as saved_predictions
from pipeline.runs import results
from pipeline.runs.lineage import Lineage
from pipeline.runs.predictions import Predictions
from pipeline.runs.results import Run
from pipeline.runs.workspace import RunFolder, Workspace

CAUTION = (
    "Intervals of 95% tell how far other test images could move a figure. Training again with another seed moves it, "
    "too, and they do not tell how far."
)

Facts = dict[str, Any]


@dataclass(frozen=True)
class _Read:
    """A run with what is compared of it."""

    run: Run
    predictions: Predictions | None

    @property
    def metrics(self) -> Mapping[str, Any]:
        return self.run.result.metrics if self.run.result else {}

    def settings(self) -> dict[str, Any]:
        """Returns what made the model: the settings, with those that a search found, and which code and data."""
        made = [a for e in self.run.executions for group in e.outputs.values() for a in group]
        data = next((a.properties[SHA256] for a in made if SHA256 in a.properties), None)
        machine = self.run.result and self.run.result.machine
        origin = {"code": machine and machine.get("code"), "data (SHA-256)": data}
        return results.flat(self.run.config) | results.flat(read_trained(self.run)) | origin


def compare(workspace: Workspace, folders: Sequence[RunFolder]) -> Facts:
    """Returns `runs`, their quality and history; `settings` that differ, by dotted name a list; and `changes`.

    A change is that of top-1 from the first run, for each of the others: None where a model was not measured.
    """
    lineage = Lineage(workspace.metadata)
    read = [_Read(results.read_run(folder, lineage), saved_predictions.load(folder.predictions)) for folder in folders]
    first, *others = read
    return {
        "runs": [_describe(one) for one in read],
        "settings": _differing([one.settings() for one in read]),
        "changes": [_change(first, other) for other in others],
    }


def _describe(one: _Read) -> dict[str, Any]:
    plain = one.run.to_dict()
    shown = ("id", "state", "seconds", "pushed_version", "metrics")
    return {name: plain[name] for name in shown} | {"history": read_history(one.run)}


def _differing(settings: Sequence[Mapping[str, Any]]) -> dict[str, list[Any]]:
    names = dict.fromkeys(name for of_run in settings for name in of_run)
    values = {name: [of_run.get(name) for of_run in settings] for name in names}
    return {name: of_runs for name, of_runs in values.items() if any(value != of_runs[0] for value in of_runs)}


def _change(first: _Read, other: _Read) -> dict[str, Any] | None:
    """Paired where both have answered the same test images, which tells smaller differences apart."""
    if not (first.metrics and other.metrics):
        return None
    one, two = first.predictions, other.predictions
    if one is not None and two is not None and one.split == two.split:
        gained, lost = int(np.sum(two.right & ~one.right)), int(np.sum(one.right & ~two.right))
        found = paired_change(len(one.labels), gained, lost)
        return asdict(found) | {"images": len(one.labels), "gained": gained, "lost": lost}
    shares = [(one.metrics["top1"], one.metrics["examples"]) for one in (first, other)]
    return asdict(unpaired_change(*shares))


def sentences(facts: Facts) -> list[str]:
    """Returns what each later run did to top-1, in words, and how far that can be trusted."""
    first, *others = (run["id"] for run in facts["runs"])
    told = [f"{other} against {first}: {_tell(change)}" for other, change in zip(others, facts["changes"], strict=True)]
    same = [] if facts["settings"] else ["No setting differs: what differs is chance."]
    return [*same, *told, CAUTION]


def _tell(change: Mapping[str, Any] | None) -> str:
    if change is None:
        return "nothing to compare, one of the two has not measured a model."
    if "images" not in change:
        return f"{describe(change)}, on other test images, or ones whose single answers were not kept."
    return (
        f"{describe(change)}, on the same {change['images']:,} test images; {change['gained']:,} of them gained, "
        f"{change['lost']:,} lost."
    )


def quality(facts: Facts) -> dict[str, list[str]]:
    """Returns what was measured of each run's model, in words: by measure a list."""
    metrics = [run["metrics"] for run in facts["runs"]]
    corruptions = dict.fromkeys(name for of_run in metrics for name in of_run.get("corrupted_top1", {}))
    return {
        "top-1 (95% interval)": [_share(m) for m in metrics],
        "top-5": [percent(m.get("top5")) for m in metrics],
        "loss": [_figure(m, "loss") for m in metrics],
        "calibration error": [_figure(m, "ece") for m in metrics],
        **{
            f"top-1 with {name}": [_share(m.get("corrupted_top1", {}).get(name, {})) for m in metrics]
            for name in corruptions
        },
        "test images": [f"{m['examples']:,}" if m else "" for m in metrics],
    }


def _share(measured: Mapping[str, Any]) -> str:
    return share(measured["top1"], measured["examples"]) if measured else ""


def _figure(metrics: Mapping[str, Any], name: str) -> str:
    if name not in metrics:
        return ""
    return "not a number" if metrics[name] is None else f"{metrics[name]:.4f}"
