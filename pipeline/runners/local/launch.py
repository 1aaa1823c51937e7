"""Starts a run in a process of its own and watches it. Imports no TensorFlow, so that the terminal answers at once.

The process of the graph (`process.py`) logs to a file, and sends events as JSON lines through a pipe: plan, node,
progress, note, error, result.
"""

import ctypes
import json
import os
import re
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from pipeline.runs.events import Event
from pipeline.runs.outcome import DONE, FAILED, INTERRUPTED, Outcome, record
from pipeline.runs.workspace import RunFolder
from shiftvit.errors import NotBlessedError
from shiftvit.files import locks

CHILD = (sys.executable, "-m", "pipeline.runners.local.process")
_GRACE = 10.0  # seconds that an interrupted child gets to end by itself
_EXCEPTION_LINE = re.compile(r"^(?:[A-Za-z_]\w*\.)*[A-Z]\w*(?:Error|Exception|Exit|Interrupt)\b.*$", re.MULTILINE)
_PR_SET_PDEATHSIG = 1


def execute(
    folder: RunFolder, show: Callable[[Event], None], command: Sequence[str], lock: int | None = None
) -> Outcome:
    """Runs the graph for `folder` to its end, and records the outcome there.

    Args:
        folder: made by `create`.
        show: is given every event as it comes.
        command: what to start, CHILD but in tests; `--run-dir DIR --events-fd N` is appended.
        lock: the descriptor that holds the workspace, which the child is to inherit.

    An interrupt (Ctrl-C or SIGTERM) ends the child and gives the exit code 130.
    """
    started = time.monotonic()
    with folder.log.open("ab") as log:
        locks.acquire(log)  # inherited by every process of the run: see run_folder.is_alive
        outcome = _watch(folder, show, command, log, [] if lock is None else [lock])
        outcome.seconds = round(time.monotonic() - started, 1)
        record(folder, outcome)
    return outcome


def _watch(
    folder: RunFolder, show: Callable[[Event], None], command: Sequence[str], log: Any, inherited: list[int]
) -> Outcome:
    outcome = Outcome(FAILED)
    terminated = signal.signal(signal.SIGTERM, signal.default_int_handler)
    reading, child = _start(folder, command, log, inherited)
    try:
        for event in _events(reading, child):
            if event["event"] == "error":
                outcome.message, outcome.exit_code = event["message"], event["exit_code"]
            elif event["event"] == "result":
                outcome.result = event
            show(event)
        return _conclude(outcome, child.wait(), folder.log)
    except KeyboardInterrupt:
        return Outcome(INTERRUPTED, "interrupted; the same command goes on where this run stopped")
    finally:
        _stop(child)
        os.close(reading)
        signal.signal(signal.SIGTERM, terminated)


def _start(folder: RunFolder, command: Sequence[str], log: Any, inherited: list[int]) -> tuple[int, subprocess.Popen]:
    reading, writing = os.pipe()
    try:
        child = subprocess.Popen(
            [*command, "--run-dir", str(folder.path), "--events-fd", str(writing)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            pass_fds=[writing, *inherited],
            start_new_session=True,
            preexec_fn=_die_with_parent(),
        )
    finally:
        os.close(writing)
    return reading, child


def _die_with_parent() -> Callable[[], Any] | None:
    """Has the kernel terminate the child when this process is killed; elsewhere the child fails at its next event."""
    if sys.platform != "linux":
        return None
    prctl = ctypes.CDLL(None).prctl  # looked up before the fork: afterwards as little as possible may happen
    return lambda: prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


def _events(reading: int, child: subprocess.Popen) -> Iterator[Event]:
    """Yields events until the pipe ends, or until the child has died though a process it left holds the pipe open."""
    pending = b""
    while True:
        ready, _, _ = select.select([reading], [], [], 0.5)
        if not ready:
            if child.poll() is not None:
                return
            continue
        received = os.read(reading, 1 << 16)
        if not received:
            return
        *lines, pending = (pending + received).split(b"\n")
        yield from (json.loads(line) for line in lines if line)


def _conclude(outcome: Outcome, status: int, log: Path) -> Outcome:
    if outcome.message is not None:
        return outcome
    if status < 0:
        name = signal.Signals(-status).name
        hint = ", which is what happens when memory runs out" if name == "SIGKILL" else ""
        outcome.message = f"the run was ended by {name}{hint}; its log is {log}"
    elif outcome.result is None or status not in (DONE, NotBlessedError.exit_code):
        found = _EXCEPTION_LINE.findall(_tail(log))
        reason = found[-1].strip()[:300] if found else f"exit status {status} without a reason"
        outcome.message = f"the run failed: {reason} (log: {log})"
    else:
        outcome.exit_code = status
    return outcome


def _tail(log: Path) -> str:
    with log.open("rb") as file:
        file.seek(max(0, log.stat().st_size - (1 << 16)))
        return file.read().decode(errors="replace")


def _stop(child: subprocess.Popen) -> None:
    """Ends the child and what it started, by force after a while or at a second interrupt."""
    if child.poll() is None:
        os.killpg(child.pid, signal.SIGTERM)
        try:
            child.wait(_GRACE)
        except (subprocess.TimeoutExpired, KeyboardInterrupt):
            os.killpg(child.pid, signal.SIGKILL)
            child.wait()
