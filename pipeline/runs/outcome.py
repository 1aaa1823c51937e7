"""How a run ended, as the process that watched it saw it."""

import json
from dataclasses import dataclass

from pipeline.runs.run_result import RunResult
from pipeline.runs.workspace import RunFolder
from shiftvit.files import atomic

# Exit codes; those of failures that one sentence explains are in `shiftvit.errors`.
DONE, FAILED = 0, 1
INTERRUPTED = 130


@dataclass
class Outcome:
    """How a run ended.

    Attributes:
        exit_code: of the command.
        message: why the run failed, in one sentence; None if it did not.
        result: of the run; None if it did not get that far.
        seconds: duration.
    """

    exit_code: int
    message: str | None = None
    result: RunResult | None = None
    seconds: float = 0.0


def record(folder: RunFolder, outcome: Outcome) -> None:
    """Writes the outcome, except for its result, into the run's folder; adds to the message if that fails."""
    record = {"exit_code": outcome.exit_code, "message": outcome.message, "seconds": outcome.seconds}
    try:
        atomic.write_file(folder.outcome, json.dumps(record, indent=2) + "\n")
    except OSError as error:  # such as a full disk, which the message is then about
        outcome.message = f"{outcome.message or 'the run ended'} ({folder.outcome} was not written: {error.strerror})"


def read(folder: RunFolder) -> Outcome | None:
    """Returns the outcome in the folder of a run, without its result; None if nothing watched the run to its end."""
    try:
        return Outcome(**json.loads(folder.outcome.read_text(encoding="utf-8")))
    except FileNotFoundError:
        return None
