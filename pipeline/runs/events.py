"""What the process of a run tells the one that watches it. Imports no TensorFlow."""

import logging
from collections.abc import Callable
from typing import Any

from shiftvit.progress import EVENT

Event = dict[str, Any]

# Shown like components: the preparation of the data, and what the report needs of the model's single answers.
SOURCE, REPORT = "Source", "Report"

RUNNING, COMPLETE, CACHED, FAILED, INTERRUPTED = "running", "complete", "cached", "failed", "interrupted"


class Events:
    """Sends the events of a run: plan, node, progress, note, error, result."""

    def __init__(self, send: Callable[[Event], None]):
        self.send = send
        self.running: str | None = None

    def plan(self, nodes: list[str]) -> None:
        """Tells which components there are, in order."""
        self.send({"event": "plan", "nodes": nodes})

    def start(self, node: str) -> None:
        """Tells that `node` runs."""
        self.running = node
        self.send({"event": "node", "node": node, "state": RUNNING})

    def end(self, state: str) -> None:
        """Tells how the running node ended."""
        self.send({"event": "node", "node": self.running, "state": state})
        self.running = None

    def note(self, message: str) -> None:
        """Tells what the user should know though nothing is wrong."""
        self.send({"event": "note", "message": message})

    def fail(self, message: str, exit_code: int) -> None:
        """Tells why the run failed."""
        self.send({"event": "error", "message": message, "exit_code": exit_code})


class ProgressHandler(logging.Handler):
    """Shows what `shiftvit.progress` reports in this process."""

    def __init__(self, show: Callable[[Event], None]):
        super().__init__()
        self._show = show

    def emit(self, record: logging.LogRecord) -> None:
        """Passes on the event that the report is."""
        self._show(getattr(record, EVENT))
