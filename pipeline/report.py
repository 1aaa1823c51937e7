"""What the command line says of runs, in words and as plain data. Imports no TensorFlow."""

import json
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline import run as running
from pipeline.events import CACHED, COMPLETE, FAILED, INTERRUPTED, RUNNING
from pipeline.lineage import Artifact, Execution, Lineage, Step, anomalies, hyperparameters
from pipeline.search_results import describe_search, read_search
from pipeline.workspace import RunFolder, Workspace
from shiftvit.config import nearest
from shiftvit.errors import ConfigError, NotBlessedError

NOT_BLESSED = "not blessed"
_DATA_GATE = "DataGate"
_CLASS_NAMES = "class_names"  # property of Examples, as a JSON list
_INTERNAL = ("name", "state", "tfx_version", "is_external", "split_names", _CLASS_NAMES)  # nothing a reader wants
_TITLES = {"top1": "top-1", "top5": "top-5"}


@dataclass(frozen=True)
class Run:
    """One run, as its folder and ML Metadata tell it."""

    folder: RunFolder
    state: str
    message: str | None  # why it failed
    seconds: float | None
    config: Mapping[str, Any]  # resolved; empty where the folder holds none
    result: Mapping[str, Any]  # empty where the run did not come that far
    executions: tuple[Execution, ...]

    @property
    def components(self) -> dict[str, str]:
        """The state of each component; one that was left running by a run that is dead was interrupted."""
        return {
            e.node: INTERRUPTED if e.state == RUNNING and self.state != RUNNING else e.state for e in self.executions
        }

    def describe_components(self) -> str:
        """Returns for example `7 complete, 2 cached, Trainer failed`."""
        many = Counter(state for state in self.components.values() if state in (COMPLETE, CACHED))
        parts = [f"{count} {state}" for state, count in many.items()]
        return ", ".join(parts + [f"{node} {state}" for node, state in self.components.items() if state not in many])

    def to_dict(self) -> dict[str, Any]:
        """Returns the run as plain data, for `--json`."""
        return {
            "id": self.folder.id,
            "state": self.state,
            "message": self.message,
            "seconds": self.seconds,
            "preset": self.config.get("preset"),
            "source": self.config.get("source"),
            "components": self.components,
            "metrics": self.result.get("metrics", {}),
            "pushed_version": self.result.get("pushed_version"),
        }


def read_runs(workspace: Workspace) -> list[Run]:
    """Returns the workspace's runs, oldest first."""
    lineage = Lineage(workspace.metadata)
    return [read_run(folder, lineage) for folder in workspace.run_folders()]


def sort(runs: Sequence[Run], column: str, reverse: bool = False) -> list[Run]:
    """Returns the runs by a column of their list, least first unless `reverse`; those without a value come last."""
    values = {run.folder.id: _column(run.to_dict(), column) for run in runs}
    told = [run for run in runs if values[run.folder.id] is not None]
    ordered = sorted(told, key=lambda run: values[run.folder.id], reverse=reverse)
    return ordered + [run for run in runs if values[run.folder.id] is None]


def _column(facts: Mapping[str, Any], column: str) -> Any:
    metrics = {title: facts["metrics"].get(name) for name, title in _TITLES.items()}
    version = facts["pushed_version"]
    others = {"run": facts["id"], "time": facts["seconds"], "version": None if version is None else int(version)}
    return (metrics | others)[column] if column in metrics | others else facts[column]


def read_run(folder: RunFolder, lineage: Lineage) -> Run:
    """Reads what is known of the run in that folder."""
    outcome, result = _read(folder.outcome), _read(folder.result)
    state = RUNNING if running.is_alive(folder) else _final_state(outcome, result)
    executions = tuple(lineage.executions(folder.id))
    return Run(
        folder,
        state,
        outcome.get("message"),
        _seconds(folder, state, outcome, executions),
        _read(folder.config),
        result,
        executions,
    )


def find_run(workspace: Workspace, run_id: str | None) -> RunFolder:
    """Returns the run of that id, or the latest.

    Raises:
        ConfigError: when there is none.
    """
    folders = {folder.id: folder for folder in workspace.run_folders()}
    if not folders:
        raise ConfigError(f"{workspace.runs}: no run was started in this workspace yet; `shiftvit run` starts one")
    if run_id is None:
        return folders[max(folders)]
    if run_id not in folders:
        raise ConfigError(f"no run {run_id!r} in {workspace.runs}; {nearest(run_id, folders)}")
    return folders[run_id]


def conclusion(result: Mapping[str, Any]) -> str:
    """Returns the last line of a run that ended well, or the reason why its model was not pushed."""
    if "search" in result:
        return describe_search(result["search"])
    quality = describe_metrics(result.get("metrics", {}))
    version = result.get("pushed_version")
    if version is None:
        return f"not pushed: {'; '.join(result.get('reasons', [])) or 'the model was not blessed'}"
    measured = f"{quality} on the test split" if quality else "its quality was not measured"
    if result.get("new", True):
        return f"Pushed version {version} to {Path(result['destination']).parent}: {measured}."
    return f"Nothing new to push: version {version} in {Path(result['destination']).parent} is this model ({measured})."


def describe_metrics(metrics: Mapping[str, Any]) -> str:
    """Returns for example `top-1 93.1%, top-5 99.8%`; only shares that the gate knows are told."""
    return ", ".join(f"{title} {percent(metrics[name])}" for name, title in _TITLES.items() if name in metrics)


def flat(config: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the settings of a tree by their dotted names."""
    leaves = {}
    for name, value in config.items():
        deeper = flat(value) if isinstance(value, Mapping) else None
        leaves |= {name: value} if deeper is None else {f"{name}.{leaf}": v for leaf, v in deeper.items()}
    return leaves


def describe_lite(report: Mapping[str, Any]) -> dict[str, str]:
    """Returns, by TFLite file, what was measured of it, and why it was not pushed if it was not."""
    return {file["name"]: _describe_lite(file, report["images"]) for file in report.get("files", ())}


def _describe_lite(file: Mapping[str, Any], images: int) -> str:
    spared = f", {file['spared']} of its products in float32" if file["spared"] else ""
    measured = (
        f"{file['bytes'] / 1e6:.2f} MB{spared}, the model's class on {file['agreement']:.2%} of {images:,} images, "
        f"{file['latency_ms']:g} ms an image on one core"
    )
    return measured if file["left_out"] is None else f"not pushed: it {file['left_out']} ({measured})"


def percent(share: float | None) -> str:
    """Returns a share from 0 to 1 as a percentage; nothing for None."""
    return "" if share is None else f"{share:.1%}"


def examine(workspace: Workspace, folder: RunFolder) -> dict[str, Any]:
    """Returns all that is known of a run, as plain data: configuration, lineage, search, metrics, anomalies."""
    lineage = Lineage(workspace.metadata)
    run = read_run(folder, lineage)
    steps = _way_back(run, lineage)
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
        "search": read_search(run.executions),
        "class_top1": _by_class(run.result.get("metrics", {}).get("class_top1", []), class_names(run)),
        "latency_ms": run.result.get("latency_ms", {}),
        "lite": run.result.get("lite", {}),
        "data": _measured_of_data(run),
        "anomalies": _find_anomalies(run),
    }


def _way_back(run: Run, lineage: Lineage) -> list[Step]:
    """From what the run pushed; else from its model, else from the last thing that it made."""
    version = run.result.get("pushed_version")
    pushed = lineage.pushed().get(str(version)) if version is not None else None
    start = pushed[0] if pushed else _furthest(run)
    return list(lineage.walk(start)) if start else []


def _furthest(run: Run) -> Artifact | None:
    made = [a for e in run.executions for group in e.outputs.values() for a in group]
    models = [artifact for artifact in made if artifact.type == "Model"]
    return (models or made or [None])[-1]


def _measured_of_data(run: Run) -> dict[str, Any]:
    made = [a for e in run.executions if e.node == _DATA_GATE for group in e.outputs.values() for a in group]
    return {name: value for a in made for name, value in sorted(a.properties.items()) if name not in _INTERNAL}


def _find_anomalies(run: Run) -> list[str]:
    artifacts = [a for e in run.executions for group in e.outputs.values() for a in group]
    return [sentence for a in artifacts if a.type == "ExampleAnomalies" for sentence in anomalies(a)]


def _describe(step: Step) -> dict[str, Any]:
    artifact, maker = step.artifact, step.maker
    facts = {name: value for name, value in artifact.properties.items() if name not in _INTERNAL}
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


def class_names(run: Run) -> list[str]:
    """Returns the names by class id, as the data of the run tells them; none where it came to no data."""
    made = [a for e in run.executions for group in e.outputs.values() for a in group]
    return json.loads(next((a.properties[_CLASS_NAMES] for a in made if _CLASS_NAMES in a.properties), "[]"))


def _by_class(values: Sequence[float | None], names: Sequence[str]) -> dict[str, float | None]:
    """Names the values by class id; with the ids where the data tells no names."""
    return dict(zip(names or map(str, range(len(values))), values, strict=False))


def _seconds(
    folder: RunFolder, state: str, outcome: Mapping[str, Any], executions: Sequence[Execution]
) -> float | None:
    if state == RUNNING and folder.config.exists():
        return time.time() - folder.config.stat().st_mtime
    if "seconds" in outcome or not executions:
        return outcome.get("seconds")
    return max(e.started + e.seconds for e in executions) - executions[0].started


def _final_state(outcome: Mapping[str, Any], result: Mapping[str, Any]) -> str:
    code = outcome.get("exit_code")
    if code is None:  # nobody watched it to its end
        return INTERRUPTED if not result else NOT_BLESSED if result.get("reasons") else COMPLETE
    return {running.DONE: COMPLETE, NotBlessedError.exit_code: NOT_BLESSED, running.INTERRUPTED: INTERRUPTED}.get(
        code, FAILED
    )


def _read(path: Path) -> dict[str, Any]:
    try:
        return json.loads(path.read_text())
    except FileNotFoundError:
        return {}
