"""Everything known of a run, as plain data."""

from collections.abc import Sequence
from typing import Any

from components.data_gate.anomalies import read_anomalies
from pipeline.reports.wording import conclusion
from pipeline.runs.lineage import Artifact, Lineage, Step, hyperparameters
from pipeline.runs.results import DATA_GATE, INTERNAL, Run, class_names, read_run
from pipeline.runs.run_result import RunResult
from pipeline.runs.search import read_search
from pipeline.runs.workspace import RunFolder, Workspace


def examine(workspace: Workspace, folder: RunFolder) -> dict[str, Any]:
    """Returns all that is known of a run, as plain data: configuration, lineage, search, metrics, anomalies."""
    lineage = Lineage(workspace.metadata)
    run = read_run(folder, lineage)
    steps = _way_back(run, lineage)
    result, search = run.result or RunResult(), read_search(run.executions)
    return {
        **run.to_dict(),
        "summary": conclusion(run.result) if run.result else None,
        "config_file": str(folder.config),
        "log": str(folder.log),
        "report": str(folder.report) if folder.report.exists() else None,
        "config": run.config,
        "executions": [
            {"id": e.id, "node": e.node, "state": run.components[e.node], "seconds": e.seconds} for e in run.executions
        ],
        "lineage": [_describe(step) for step in steps],
        "search": search.to_dict() if search else None,
        "class_top1": _by_class(result.metrics.get("class_top1", []), class_names(run)),
        "latency_ms": result.latency_ms,
        "lite": result.lite,
        "data": _measured_of_data(run),
        "anomalies": _find_anomalies(run),
    }


def _way_back(run: Run, lineage: Lineage) -> list[Step]:
    """From what the run pushed; else from its model, else from the last thing that it made."""
    version = run.result.pushed_version if run.result else None
    pushed = lineage.pushed().get(version) if version is not None else None
    start = pushed[0] if pushed else _furthest(run)
    return list(lineage.walk(start)) if start else []


def _furthest(run: Run) -> Artifact | None:
    made = [a for e in run.executions for group in e.outputs.values() for a in group]
    models = [artifact for artifact in made if artifact.type == "Model"]
    return (models or made or [None])[-1]


def _measured_of_data(run: Run) -> dict[str, Any]:
    made = [a for e in run.executions if e.node == DATA_GATE for group in e.outputs.values() for a in group]
    return {name: value for a in made for name, value in sorted(a.properties.items()) if name not in INTERNAL}


def _find_anomalies(run: Run) -> list[str]:
    artifacts = [a for e in run.executions for group in e.outputs.values() for a in group]
    return [sentence for a in artifacts if a.type == "ExampleAnomalies" for sentence in read_anomalies(a.uri)]


def _describe(step: Step) -> dict[str, Any]:
    artifact, maker = step.artifact, step.maker
    facts = {name: value for name, value in artifact.properties.items() if name not in INTERNAL}
    if artifact.type == "HyperParameters":
        facts |= hyperparameters(artifact)
    return {
        "id": artifact.id,
        "type": artifact.type,
        "uri": artifact.uri,
        "facts": facts,
        "node": maker and maker.node,
        "execution": maker and maker.id,
        "run": maker and maker.run,
        "from": [source.id for source in step.sources],
    }


def _by_class(values: Sequence[float | None], names: Sequence[str]) -> dict[str, float | None]:
    """Names the values by class id; with the ids where the data tells no names."""
    return dict(zip(names or map(str, range(len(values))), values, strict=False))
