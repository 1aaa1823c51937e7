"""What the command line says of runs, in words and as plain data. Imports no TensorFlow."""

import json
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from components.example_gen.source_identity import CLASS_NAMES
from pipeline.runs import run_result
from pipeline.runs.events import CACHED, COMPLETE, FAILED, INTERRUPTED, RUNNING
from pipeline.runs.lineage import Execution, Lineage
from pipeline.runs.outcome import DONE
from pipeline.runs.outcome import INTERRUPTED as EXIT_INTERRUPTED
from pipeline.runs.run_folder import is_alive
from pipeline.runs.run_result import RunResult
from pipeline.runs.workspace import RunFolder, Workspace
from shiftvit.config import suggest
from shiftvit.errors import ConfigError, NotBlessedError

NOT_BLESSED = "not blessed"
DATA_GATE = "DataGate"
INTERNAL = ("name", "state", "tfx_version", "is_external", "split_names", CLASS_NAMES)  # nothing a reader wants
TITLES = {"top1": "top-1", "top5": "top-5"}


@dataclass(frozen=True)
class Run:
    """One run, as its folder and ML Metadata tell it."""

    folder: RunFolder
    state: str
    message: str | None  # why it failed
    seconds: float | None
    config: Mapping[str, Any]  # resolved; empty where the folder holds none
    result: RunResult | None  # None if the run did not get that far
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
        result = self.result or RunResult()
        return {
            "id": self.folder.id,
            "state": self.state,
            "message": self.message,
            "seconds": self.seconds,
            "preset": self.config.get("preset"),
            "source": self.config.get("source"),
            "components": self.components,
            "metrics": result.metrics,
            "pushed_version": result.pushed_version,
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
    metrics = {title: facts["metrics"].get(name) for name, title in TITLES.items()}
    version = facts["pushed_version"]
    others = {"run": facts["id"], "time": facts["seconds"], "version": None if version is None else int(version)}
    return (metrics | others)[column] if column in metrics | others else facts[column]


def read_run(folder: RunFolder, lineage: Lineage) -> Run:
    """Reads what is known of the run in that folder."""
    outcome, result = _read(folder.outcome), run_result.read(folder)
    state = RUNNING if is_alive(folder) else _final_state(outcome, result)
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
        raise ConfigError(f"no run {run_id!r} in {workspace.runs}; {suggest(run_id, folders)}")
    return folders[run_id]


def flat(config: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the settings of a tree by their dotted names."""
    leaves = {}
    for name, value in config.items():
        deeper = flat(value) if isinstance(value, Mapping) else None
        leaves |= {name: value} if deeper is None else {f"{name}.{leaf}": v for leaf, v in deeper.items()}
    return leaves


def class_names(run: Run) -> list[str]:
    """Returns the names by class id, as the data of the run tells them; none where it came to no data."""
    made = [a for e in run.executions for group in e.outputs.values() for a in group]
    return json.loads(next((a.properties[CLASS_NAMES] for a in made if CLASS_NAMES in a.properties), "[]"))


def _seconds(
    folder: RunFolder, state: str, outcome: Mapping[str, Any], executions: Sequence[Execution]
) -> float | None:
    if state == RUNNING and folder.config.exists():
        return time.time() - folder.config.stat().st_mtime
    if "seconds" in outcome or not executions:
        return outcome.get("seconds")
    return max(e.started + e.seconds for e in executions) - executions[0].started


def _final_state(outcome: Mapping[str, Any], result: RunResult | None) -> str:
    code = outcome.get("exit_code")
    if code is None:  # nobody watched it to its end
        return INTERRUPTED if result is None else NOT_BLESSED if result.reasons else COMPLETE
    return {DONE: COMPLETE, NotBlessedError.exit_code: NOT_BLESSED, EXIT_INTERRUPTED: INTERRUPTED}.get(code, FAILED)


def _read(path: Path) -> dict[str, Any]:
    try:
        return json.loads(path.read_text())
    except FileNotFoundError:
        return {}
