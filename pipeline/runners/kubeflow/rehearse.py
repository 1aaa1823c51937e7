"""Runs the compiled pipeline on this machine: each step by its own command, under the conditions of a KFP cluster."""

import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.runners.kubeflow import acceptance
from pipeline.runners.kubeflow.pipeline_file import MESSAGE_PREFIX, Json, PipelineFile, load
from pipeline.runners.kubeflow.rehearsal_cluster import Cluster, Step
from pipeline.runs.events import COMPLETE, FAILED, INTERRUPTED, Event, Events
from shiftvit import processes
from shiftvit.config import require
from shiftvit.errors import ConfigError, DataError, NotBlessedError, UserError

CONCURRENT_STEPS = 2  # a step on its own spends most of its time on imports
_POLL_SECONDS = 0.1
_ERRORS = {error.exit_code: error for error in (UserError, ConfigError, DataError, NotBlessedError)}


@dataclass(frozen=True)
class Rehearsed:
    """A completed run."""

    cluster: Cluster
    # As recorded in the metadata store, by completed task and output: an artifact, or a parameter's value.
    outputs: dict[str, dict[str, Json]]

    def metadata(self, task: str, output: str) -> Json:
        """Returns the metadata of an output of a task."""
        return self.outputs[task][output]["metadata"]

    def value(self, task: str, output: str) -> Any:
        """Returns the value of a parameter that a task gives."""
        return self.outputs[task][output]["value"]

    def path(self, task: str, output: str) -> Path:
        """Returns the path of an output in the bucket."""
        return self.cluster.stored(self.outputs[task][output]["uri"])


def rehearse(file: Path, parameters: Json, folder: Path, show: Callable[[Event], None]) -> Rehearsed:
    """Runs the pipeline once.

    Args:
        file: the compiled pipeline.
        parameters: values from PipelineFile.read_parameters; parameters left out have their defaults.
        folder: stands for the cluster; its object store and volumes persist between rehearsals.
        show: receives each event as it arrives.

    Raises:
        ConfigError: KFP would reject the file, or the folder cannot be used.
        UserError: a step fails; the message names the step, the reason and its log.
    """
    compiled = load(file)
    acceptance.check([compiled.spec, *compiled.platforms], file)
    defaults = {name: definition.get("defaultValue") for name, definition in compiled.parameters.items()}
    run = f"{time.strftime('%Y%m%d-%H%M%S')}-{uuid.uuid4().hex[:8]}"
    cluster = Cluster(folder.absolute(), run, compiled.name, defaults | parameters)
    try:
        return Rehearsed(cluster, _Rehearsal(compiled, cluster, show).run())
    except OSError as error:
        raise ConfigError(f"cannot rehearse in {folder}: {error.strerror} ({error.filename})") from error


class _Rehearsal:
    """A run in progress."""

    def __init__(self, compiled: PipelineFile, cluster: Cluster, show: Callable[[Event], None]):
        self._tasks: Json = compiled.spec["root"]["dag"]["tasks"]
        self._cluster, self._show = cluster, show
        self._waiting = {name: self._make_step(name, compiled) for name in acceptance.in_order(self._tasks)}
        self._running: dict[str, tuple[Step, Events]] = {}
        self._outputs: dict[str, dict[str, Json]] = {}  # of the completed tasks
        self._skipped: set[str] = set()

    def _make_step(self, name: str, compiled: PipelineFile) -> Step:
        task = self._tasks[name]
        component = compiled.spec["components"][task["componentRef"]["name"]]
        executor = compiled.spec["deploymentSpec"]["executors"][component["executorLabel"]]
        require("container" in executor, f"task {name}: is an importer, which a rehearsal does not support")
        volumes = compiled.volumes(component["executorLabel"])
        return Step(name, task, component, executor["container"], volumes, self._cluster)

    def run(self) -> dict[str, dict[str, Json]]:
        Events(self._show).plan(list(self._waiting))
        try:
            while self._waiting or self._running:
                self._start_ready()
                time.sleep(_POLL_SECONDS)
                self._finish_ended()
        finally:
            for step, events in self._running.values():
                step.remove()
                events.end(INTERRUPTED)
        return self._outputs

    def _start_ready(self) -> None:
        for name, step in list(self._waiting.items()):
            needed = acceptance.dependencies(self._tasks[name])
            ready = self._outputs.keys() >= needed
            if needed & self._skipped or (ready and not step.is_triggered(self._outputs)):
                del self._waiting[name]
                self._skipped.add(name)
                Events(self._show).skip(name)
            elif ready and len(self._running) < CONCURRENT_STEPS:
                events = Events(self._show)  # one per step, as it handles one running node
                events.start(name)
                self._running[name] = self._waiting.pop(name), events
                step.start(self._outputs)

    def _finish_ended(self) -> None:
        for name, (step, events) in list(self._running.items()):
            status = step.poll()
            if status is None:
                continue
            del self._running[name]
            state = FAILED
            try:
                self._outputs[name] = _finish(step, status)
                state = COMPLETE
            finally:
                step.remove()
                events.end(state)


def _finish(step: Step, status: int) -> dict[str, Json]:
    if status != 0:
        raise _ERRORS.get(status, UserError)(f"step {step.name} failed: {_reason(step, status)} (log: {step.log})")
    try:
        return step.finish()
    except UserError as error:
        raise UserError(f"step {step.name} failed after its command: {error} (log: {step.log})") from error


def _reason(step: Step, status: int) -> str:
    """Returns the signal that killed the step, or else the error, last exception or last line in its log."""
    if status < 0:
        return f"killed by {processes.describe_signal(status)}"
    lines = [
        line.strip()
        for line in step.log.read_text(encoding="utf-8", errors="backslashreplace").splitlines()
        if line.strip()
    ]
    for line in reversed(lines):
        if line.startswith(MESSAGE_PREFIX):
            return line.removeprefix(MESSAGE_PREFIX)
    last_line = lines[-1] if lines else f"exit status {status}, with an empty log"
    return processes.last_exception(step.log) or last_line
