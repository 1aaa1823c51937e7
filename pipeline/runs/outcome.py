"""How a run ended."""

import json
from dataclasses import dataclass

from pipeline.runs.run_result import RunResult
from pipeline.runs.workspace import RunFolder
from shiftvit.files import atomic

DONE, FAILED = 0, 1
INTERRUPTED = 130


@dataclass
class Outcome:
    """How a run ended: the exit code, one sentence where it failed, and the child's result where it came that far."""

    exit_code: int
    message: str | None = None
    result: RunResult | None = None
    seconds: float = 0.0


def record(folder: RunFolder, outcome: Outcome) -> None:
    """Writes the outcome into the run's folder; what stops that is added to its message."""
    record = {"exit_code": outcome.exit_code, "message": outcome.message, "seconds": outcome.seconds}
    try:
        atomic.write_file(folder.outcome, json.dumps(record, indent=2) + "\n")
    except OSError as error:  # as on a full disk, which is then what the message is about
        outcome.message = f"{outcome.message or 'the run ended'} ({folder.outcome} was not written: {error.strerror})"
