"""Runs the compiled pipeline on this machine, each step by its own command, under what a KFP cluster does to it."""

import re
import signal
import time
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from pipeline.runners.kubeflow import acceptance, entrypoint, pipeline_file
from pipeline.runners.kubeflow.pipeline_file import PipelineFile
from pipeline.runners.kubeflow.rehearsal_cluster import Cluster, Json, Step
from pipeline.runs.events import COMPLETE, FAILED, INTERRUPTED, Event, Events
from shiftvit.config import require
from shiftvit.errors import ConfigError, DataError, UserError

AT_ONCE = 2  # steps; one alone mostly imports
_PAUSE = 0.1  # seconds between two looks at what runs
_EXCEPTION = re.compile(r"^(?:\w+\.)*[A-Z]\w*(?:Error|Exception|Exit|Interrupt)\b.*$")
_ERRORS = {error.exit_code: error for error in (UserError, ConfigError, DataError)}


class Display(Protocol):
    """What shows the events of a run."""

    def show(self, event: Event) -> None:
        """Takes an event."""


@dataclass(frozen=True)
class Rehearsed:
    """A run that came to its end."""

    cluster: Cluster
    outputs: dict[str, dict[str, Json]]  # as they are recorded, by task and output

    def metadata(self, task: str, output: str) -> Json:
        """Returns the metadata of an output."""
        return self.outputs[task][output]["metadata"]

    def path(self, task: str, output: str) -> Path:
        """Returns where an output is kept."""
        return self.cluster.stored(self.outputs[task][output]["uri"])


def rehearse(file: Path, parameters: Json, folder: Path, display: Display) -> Rehearsed:
    """Runs the pipeline once.

    Args:
        file: the compiled pipeline.
        parameters: of the run, as PipelineFile.read_parameters gives them; those left out have their defaults.
        folder: holds the bucket and the logs; the next rehearsal in it finds the bucket as this one leaves it.
        display: is shown the states of the steps.

    Raises:
        ConfigError: when KFP would not accept the file, or the folder cannot be used.
        UserError: when a step fails; the sentence names the step, why, and its log.
    """
    compiled = pipeline_file.load(file)
    acceptance.check([compiled.spec, *compiled.platforms], file)
    defaults = {name: definition.get("defaultValue") for name, definition in compiled.parameters.items()}
    run = f"{time.strftime('%Y%m%d-%H%M%S')}-{uuid.uuid4().hex[:8]}"
    cluster = Cluster(folder.absolute(), run, compiled.name, defaults | parameters)
    try:
        return Rehearsed(cluster, _Rehearsal(compiled, cluster, display).run())
    except OSError as error:
        raise ConfigError(f"cannot rehearse in {folder}: {error.strerror} ({error.filename})") from error


class _Rehearsal:
    """One run, on its way."""

    def __init__(self, compiled: PipelineFile, cluster: Cluster, display: Display):
        self._tasks: Json = compiled.spec["root"]["dag"]["tasks"]
        self._cluster, self._display = cluster, display
        self._waiting = {name: self._make_step(name, compiled) for name in acceptance.in_order(self._tasks)}
        self._running: dict[str, tuple[Step, Events]] = {}
        self._outputs: dict[str, dict[str, Json]] = {}  # of the tasks that have ended

    def _make_step(self, name: str, compiled: PipelineFile) -> Step:
        task = self._tasks[name]
        component = compiled.spec["components"][task["componentRef"]["name"]]
        executor = compiled.spec["deploymentSpec"]["executors"][component["executorLabel"]]
        require("container" in executor, f"task {name}: is an importer, which is not rehearsed")
        volumes = compiled.volumes(component["executorLabel"])
        return Step(name, task, component, executor["container"], volumes, self._cluster)

    def run(self) -> dict[str, dict[str, Json]]:
        Events(self._display.show).plan(list(self._waiting))
        try:
            while self._waiting or self._running:
                self._start_ready()
                time.sleep(_PAUSE)
                self._finish_ended()
        finally:
            for one, events in self._running.values():
                one.remove()
                events.end(INTERRUPTED)
        return self._outputs

    def _start_ready(self) -> None:
        for name, one in list(self._waiting.items()):
            ready = self._outputs.keys() >= acceptance.dependencies(self._tasks[name])
            if ready and len(self._running) < AT_ONCE:
                events = Events(self._display.show)  # each its own: it tells of one that runs
                events.start(name)
                self._running[name] = self._waiting.pop(name), events
                one.start(self._outputs)

    def _finish_ended(self) -> None:
        for name, (one, events) in list(self._running.items()):
            status = one.poll()
            if status is None:
                continue
            del self._running[name]
            state = FAILED
            try:
                self._outputs[name] = _finish(one, status)
                state = COMPLETE
            finally:
                one.remove()
                events.end(state)


def _finish(one: Step, status: int) -> dict[str, Json]:
    if status != 0:
        raise _ERRORS.get(status, UserError)(f"step {one.name} failed: {_reason(one, status)} (log: {one.log})")
    try:
        return one.finish()
    except UserError as error:
        raise UserError(f"step {one.name} failed after its command: {error} (log: {one.log})") from error


def _reason(one: Step, status: int) -> str:
    """Returns what killed the step, or else its own sentence, its last exception or its last words."""
    if status < 0:
        return f"killed by {signal.Signals(-status).name}"
    lines = [line.strip() for line in one.log.read_text(errors="replace").splitlines() if line.strip()]
    told = [
        line.removeprefix(entrypoint.MESSAGE_PREFIX) for line in lines if line.startswith(entrypoint.MESSAGE_PREFIX)
    ]
    raised = [line[:300] for line in lines if _EXCEPTION.match(line)]
    return next(iter(reversed(told or raised or lines)), f"exit status {status} without a word")
