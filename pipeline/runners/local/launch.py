"""Starts a run in a child process and watches it. Imports no TensorFlow, so that the terminal responds at once.

The child (`process.py`) logs to a file and sends events through a pipe, one JSON object a line: plan, node, progress,
note, error, result.
"""

import json
import os
import select
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import BinaryIO

from pipeline.runs.events import Event
from pipeline.runs.outcome import DONE, FAILED, INTERRUPTED, Outcome, record
from pipeline.runs.run_result import RunResult
from pipeline.runs.workspace import RunFolder
from shiftvit import interrupts
from shiftvit.errors import NotBlessedError
from shiftvit.files import locks
from shiftvit.processes import describe_signal, end_with_parent, last_exception, python, send, stop

CHILD = python("pipeline.runners.local.process")
_GRACE = 10.0  # seconds that an interrupted child has to end before it is killed


def execute(
    folder: RunFolder, show: Callable[[Event], None], command: Sequence[str], lock: int | None = None
) -> Outcome:
    """Runs the graph in a child process until it ends, and records the outcome in the run's folder.

    An interrupt (Ctrl-C, SIGTERM or SIGHUP) stops the child, and a second one kills it; the exit code is then 130.

    Args:
        folder: of the run, from `pipeline.runs.run_folder.create`.
        show: receives each event as it arrives.
        command: CHILD with options, except in tests; `--run-dir DIR --events-fd N` is appended.
        lock: descriptor of the workspace's lock, which the child inherits.
    """
    started = time.monotonic()
    with interrupts.once(), folder.log.open("ab") as log:
        locks.acquire(log)  # inherited by every process of the run: see run_folder.is_alive
        outcome = _watch(folder, show, command, log, [] if lock is None else [lock])
        outcome.seconds = round(time.monotonic() - started, 1)
        record(folder, outcome)
    return outcome


def _watch(
    folder: RunFolder, show: Callable[[Event], None], command: Sequence[str], log: BinaryIO, inherited: list[int]
) -> Outcome:
    outcome = Outcome(FAILED)
    pipe, child = _start(folder, command, log, inherited)
    with interrupts.hurried_by(lambda: send(child, signal.SIGKILL, group=True)):
        try:
            for event in _events(pipe, child):
                if event["event"] == "error":
                    outcome.message, outcome.exit_code = event["message"], event["exit_code"]
                elif event["event"] == "result":
                    outcome.result = RunResult.from_dict(event)
                show(event)
            return _finish(outcome, child.wait(), folder.log)
        except KeyboardInterrupt:
            return Outcome(INTERRUPTED, "interrupted; repeat the command to continue where the run stopped")
        finally:
            stop(child, _GRACE, group=True)
            os.close(pipe)


def _start(
    folder: RunFolder, command: Sequence[str], log: BinaryIO, inherited: list[int]
) -> tuple[int, subprocess.Popen]:
    """Returns the read end of the pipe of events, and the child."""
    reading, writing = os.pipe()
    try:
        child = subprocess.Popen(
            [*command, "--run-dir", str(folder.path.absolute()), "--events-fd", str(writing)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            pass_fds=[writing, *inherited],
            start_new_session=True,
            preexec_fn=end_with_parent(),  # off Linux, the child of a killed watcher fails at its next event
        )
    finally:
        os.close(writing)
    return reading, child


def _events(pipe: int, child: subprocess.Popen) -> Iterator[Event]:
    """Yields events until the pipe closes, or until the child has ended while a process of its own keeps it open."""
    pending = b""
    while True:
        ready, _, _ = select.select([pipe], [], [], 0.5)
        if not ready:
            if child.poll() is not None:
                return
            continue
        received = os.read(pipe, 1 << 16)
        if not received:
            return
        *lines, pending = (pending + received).split(b"\n")
        yield from (json.loads(line) for line in lines if line)


def _finish(outcome: Outcome, status: int, log: Path) -> Outcome:
    """Completes the outcome with the child's exit status; a child that crashes has sent no error event."""
    if outcome.message is not None:
        return outcome
    if status < 0:
        outcome.message = f"the run was ended by {describe_signal(status)}; its log is {log}"
    elif outcome.result is None or status not in (DONE, NotBlessedError.exit_code):
        reason = last_exception(log) or f"exit status {status} without an error message"
        outcome.message = f"the run failed: {reason} (log: {log})"
    else:
        outcome.exit_code = status
    return outcome
