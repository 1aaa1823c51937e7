"""The events of a run, which its process sends to the process that watches it. Imports no TensorFlow.

An event is plain data, one JSON object per line on the pipe between the two. Long work inside a component reports its
progress through `shiftvit.progress`, whose reports are events too.
"""

import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, TypedDict, cast

from shiftvit.progress import EVENT

# Shown like components of the graph: preparing the data before it, and saving predictions for the report after it.
SOURCE, PREDICTIONS = "Source", "Predictions"

RUNNING, COMPLETE, CACHED, FAILED, INTERRUPTED = "running", "complete", "cached", "failed", "interrupted"
SKIPPED = "skipped"  # on Kubeflow: its condition is not met


class PlanEvent(TypedDict):
    """Which components will run, in order."""

    event: Literal["plan"]
    nodes: list[str]


class NodeEvent(TypedDict):
    """A component starts or ends."""

    event: Literal["node"]
    node: str
    state: str


class NoteEvent(TypedDict):
    """A sentence for the user that is no error."""

    event: Literal["note"]
    message: str


class ErrorEvent(TypedDict):
    """Why the run failed."""

    event: Literal["error"]
    message: str
    exit_code: int


class ResultEvent(TypedDict):
    """The result of the run; its further keys are those of `pipeline.runs.run_result.RunResult`."""

    event: Literal["result"]


class ProgressEvent(TypedDict):
    """As `shiftvit.progress.report` makes it."""

    event: Literal["progress"]
    stage: str
    done: float
    total: float
    unit: str
    metrics: Mapping[str, float]


class TrialsEvent(TypedDict):
    """As `shiftvit.progress.report_trials` makes it."""

    event: Literal["trials"]
    trials: Sequence[Mapping[str, Any]]
    greater_is_better: bool


Event = PlanEvent | NodeEvent | NoteEvent | ErrorEvent | ResultEvent | ProgressEvent | TrialsEvent


class Events:
    """Sends the events of a run, of which one component runs at a time."""

    def __init__(self, send: Callable[[Event], None]):
        self.send = send
        self.running: str | None = None  # the component

    def plan(self, nodes: Sequence[str]) -> None:
        """Sends which components will run."""
        self.send({"event": "plan", "nodes": list(nodes)})

    def start(self, node: str) -> None:
        """Sends that a component starts."""
        self.running = node
        self.send({"event": "node", "node": node, "state": RUNNING})

    def end(self, state: str) -> None:
        """Sends how the running component ended."""
        assert self.running is not None, "no component runs"
        self.send({"event": "node", "node": self.running, "state": state})
        self.running = None

    def skip(self, node: str) -> None:
        """Sends that a component does not run."""
        self.send({"event": "node", "node": node, "state": SKIPPED})

    def note(self, message: str) -> None:
        """Sends a sentence for the user that is no error."""
        self.send({"event": "note", "message": message})

    def fail(self, message: str, exit_code: int) -> None:
        """Sends why the run failed."""
        self.send({"event": "error", "message": message, "exit_code": exit_code})

    def finish(self, result: Mapping[str, Any]) -> None:
        """Sends the result of the run, as plain data."""
        self.send(cast(ResultEvent, {"event": "result", **result}))


class ProgressHandler(logging.Handler):
    """Turns this process' reports to `shiftvit.progress` into events."""

    def __init__(self, send: Callable[[Event], None]):
        super().__init__()
        self._send = send

    def emit(self, record: logging.LogRecord) -> None:
        self._send(getattr(record, EVENT))
