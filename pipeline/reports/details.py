"""What `shiftvit show` prints about a run; the run's report builds on it."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from components.data_gate.anomalies import read_anomalies
from components.example_gen.bad_images import BadImage, read_bad_images
from pipeline.graph.nodes import Node
from pipeline.reports.wording import conclusion
from pipeline.runs.lineage import Artifact, Lineage, Step
from pipeline.runs.run import Run, read_run
from pipeline.runs.run_result import RunResult
from pipeline.runs.search import SearchSummary, read_search
from pipeline.runs.workspace import RunFolder, Workspace
from shiftvit.metrics import CLASS_SCORES, TOP1, of_class


@dataclass(frozen=True)
class RunDetails:
    """A run with its lineage, its search and the anomalies of its data.

    Attributes:
        run: the run itself.
        lineage: what it made last, and the ancestors of that, nearest first.
        search: its outcome; None without a search.
        anomalies: a sentence for each.
        bad_images: path of each image file that did not decode and was left out, and why.
    """

    run: Run
    lineage: Sequence[Step]
    search: SearchSummary | None
    anomalies: Sequence[str]
    bad_images: Sequence[str] = ()

    @property
    def summary(self) -> str | None:
        """The result in a sentence; None if the run did not get that far."""
        return conclusion(self.run.result) if self.run.result else None

    @property
    def data(self) -> dict[str, Any]:
        """What the data gate measured, by name, which starts with the split."""
        gates = (execution for execution in self.run.executions if execution.node == Node.DATA_GATE)
        return {name: value for e in gates for a in e.artifacts for name, value in sorted(a.facts.items())}

    def of_classes(self, metric: str) -> dict[str, float | None]:
        """Returns TOP1 or one of CLASS_SCORES by class name; None where it is undefined."""
        return {self.run.class_name(k): share for k, share in enumerate(self.run.metrics.get(of_class(metric), ()))}

    def to_dict(self) -> dict[str, Any]:
        """Returns the details as JSON-serialisable data, for `--json`."""
        run, result = self.run, self.run.result or RunResult()
        return {
            **run.to_dict(),
            "summary": self.summary,
            "config_file": str(run.folder.config),
            "log": str(run.folder.log),
            "report": str(run.folder.report) if run.folder.report.exists() else None,
            "config": run.config,
            "executions": [
                {"id": e.id, "node": e.node, "state": e.state, "seconds": e.seconds} for e in run.executions
            ],
            "lineage": [_step_to_dict(step) for step in self.lineage],
            "search": asdict(self.search) if self.search else None,
            **{of_class(name): self.of_classes(name) for name in (TOP1, *CLASS_SCORES)},
            "latency_ms": result.latency_ms,
            "lite": result.lite,
            "data": self.data,
            "anomalies": self.anomalies,
            "bad_images": self.bad_images,
        }


def read_details(workspace: Workspace, folder: RunFolder) -> RunDetails:
    """Reads what the workspace knows about a run."""
    lineage = Lineage(workspace.metadata)
    run = read_run(folder, lineage)
    last = _last_artifact(run, lineage)
    return RunDetails(
        run,
        list(lineage.walk(last)) if last else [],
        read_search(run.executions),
        [sentence for a in run.artifacts if a.type == "ExampleAnomalies" for sentence in read_anomalies(a.uri)],
        [f"{image.path}: {image.reason}" for image in _bad_images(run)],
    )


def _bad_images(run: Run) -> list[BadImage]:
    by_split = [read_bad_images(artifact.uri) for artifact in run.artifacts if artifact.type == "Examples"]
    return [image for found in by_split for images in found.values() for image in images]


def _last_artifact(run: Run, lineage: Lineage) -> Artifact | None:
    """Returns the PushedModel of the run; without one its model, without a model its newest artifact."""
    version = run.result.pushed_version if run.result else None
    pushed = lineage.pushed().get(version) if version is not None else None
    if pushed is not None:
        return pushed[0]
    artifacts = run.artifacts
    models = [artifact for artifact in artifacts if artifact.type == "Model"]
    return next(reversed(models or artifacts), None)


def _step_to_dict(step: Step) -> dict[str, Any]:
    return {
        "id": step.artifact.id,
        "type": step.artifact.type,
        "uri": step.artifact.uri,
        "facts": step.facts,
        "node": step.maker and step.maker.node,
        "execution": step.maker and step.maker.id,
        "run": step.maker and step.maker.run,
        "from": [source.id for source in step.sources],
    }
