"""A run, read from its folder and ML Metadata. Imports no TensorFlow."""

import dataclasses
import json
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from components.example_gen.source_identity import CLASS_NAMES
from pipeline.graph.nodes import Node
from pipeline.runs import outcome, run_result
from pipeline.runs.events import CACHED, COMPLETE, FAILED, INTERRUPTED, RUNNING
from pipeline.runs.lineage import Artifact, Execution, Lineage
from pipeline.runs.outcome import Outcome
from pipeline.runs.run_folder import is_alive
from pipeline.runs.run_result import RunResult
from pipeline.runs.workspace import RunFolder, Workspace
from shiftvit.config import suggest
from shiftvit.errors import ConfigError, NotBlessedError
from shiftvit.training_record import read_experiment, read_history

NOT_BLESSED = "not blessed"
_TRAINING_RECORD = "model_run"  # the Trainer's output with what `shiftvit.training_record` reads


@dataclass(frozen=True)
class Run:
    """A run that has ended or is under way.

    Attributes:
        folder: of the run.
        state: RUNNING, COMPLETE, NOT_BLESSED, FAILED or INTERRUPTED.
        message: why it failed; None if it did not.
        seconds: duration so far; None if it is unknown.
        config: the resolved configuration as plain data; empty if the folder has none.
        result: None if the run did not get that far.
        executions: of its nodes, oldest first.
    """

    folder: RunFolder
    state: str
    message: str | None
    seconds: float | None
    config: Mapping[str, Any]
    result: RunResult | None
    executions: Sequence[Execution]

    @property
    def components(self) -> dict[str, str]:
        """The state of each component."""
        return {execution.node: execution.state for execution in self.executions}

    @property
    def artifacts(self) -> list[Artifact]:
        """All that the run put out, in order."""
        return [artifact for execution in self.executions for artifact in execution.artifacts]

    @property
    def metrics(self) -> Mapping[str, Any]:
        """As `components.evaluator.results.read_metrics` returns them; empty if no model was evaluated."""
        return self.result.metrics if self.result else {}

    @cached_property
    def class_names(self) -> list[str]:
        """The class names by class id; empty if the run did not ingest data."""
        found = (a.properties[CLASS_NAMES] for a in self.artifacts if CLASS_NAMES in a.properties)
        return json.loads(next(found, "[]"))

    def class_name(self, class_id: int) -> str:
        """Returns the name of a class, or its id if the name is unknown."""
        names = self.class_names
        return names[class_id] if class_id < len(names) else str(class_id)

    @property
    def training_record(self) -> Path | None:
        """The folder with the training's history and experiment; None if the run did not train."""
        trainers = (execution for execution in self.executions if execution.node == Node.TRAINER)
        records = [Path(a.uri) for trainer in trainers for a in trainer.outputs.get(_TRAINING_RECORD, ())]
        return records[0] if records else None

    @cached_property
    def history(self) -> Sequence[Mapping[str, float]]:
        """A row per epoch, as `shiftvit.training_record.read_history` returns it; empty if the run did not train."""
        return read_history(self.training_record) if self.training_record else []

    @cached_property
    def experiment(self) -> Mapping[str, Any]:
        """What was trained, with the search's hyperparameters; empty if the run did not train."""
        return read_experiment(self.training_record) if self.training_record else {}

    def describe_components(self) -> str:
        """Returns for example `7 complete, 2 cached, Trainer failed`."""
        counts = Counter(state for state in self.components.values() if state in (COMPLETE, CACHED))
        others = [f"{node} {state}" for node, state in self.components.items() if state not in counts]
        return ", ".join([*(f"{count} {state}" for state, count in counts.items()), *others])

    def to_dict(self) -> dict[str, Any]:
        """Returns the run as JSON-serialisable data, for `--json`."""
        return {
            "id": self.folder.id,
            "state": self.state,
            "message": self.message,
            "seconds": self.seconds,
            "preset": self.config.get("preset"),
            "source": self.config.get("source"),
            "components": self.components,
            "metrics": self.metrics,
            "pushed_version": self.result.pushed_version if self.result else None,
        }


def read_runs(workspace: Workspace) -> list[Run]:
    """Returns the workspace's runs, oldest first."""
    lineage = Lineage(workspace.metadata)
    return [read_run(folder, lineage) for folder in workspace.run_folders()]


def read_run(folder: RunFolder, lineage: Lineage) -> Run:
    """Reads a run; nodes that a dead run left running become interrupted."""
    ended, result = outcome.read(folder), run_result.read(folder)
    state = RUNNING if is_alive(folder) else _final_state(ended, result)
    executions = lineage.executions(folder.id)
    if state != RUNNING:
        executions = [
            dataclasses.replace(each, state=INTERRUPTED) if each.state == RUNNING else each for each in executions
        ]
    return Run(
        folder,
        state,
        ended.message if ended else None,
        _seconds(folder, state, ended, executions),
        json.loads(folder.config.read_text(encoding="utf-8")) if folder.config.exists() else {},
        result,
        executions,
    )


def find_run(workspace: Workspace, run_id: str | None) -> RunFolder:
    """Returns the folder of the run with that id; without an id, that of the latest run.

    Raises:
        ConfigError: when there is none.
    """
    folders = {folder.id: folder for folder in workspace.run_folders()}
    if not folders:
        raise ConfigError(f"{workspace.runs}: this workspace has no runs yet; start one with `shiftvit run`")
    if run_id is None:
        return folders[max(folders)]
    if run_id not in folders:
        raise ConfigError(f"no run {run_id!r} in {workspace.runs}; {suggest(run_id, folders)}")
    return folders[run_id]


def _seconds(folder: RunFolder, state: str, ended: Outcome | None, executions: Sequence[Execution]) -> float | None:
    if state == RUNNING and folder.config.exists():
        return time.time() - folder.config.stat().st_mtime
    if ended is not None:
        return ended.seconds
    return max(e.started + e.seconds for e in executions) - executions[0].started if executions else None


def _final_state(ended: Outcome | None, result: RunResult | None) -> str:
    if ended is None:  # the watching process was killed
        return INTERRUPTED if result is None else NOT_BLESSED if result.reasons else COMPLETE
    states = {outcome.DONE: COMPLETE, NotBlessedError.exit_code: NOT_BLESSED, outcome.INTERRUPTED: INTERRUPTED}
    return states.get(ended.exit_code, FAILED)
