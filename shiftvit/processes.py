"""Child processes: how they end, and what their exit status means. Standard library only."""

import contextlib
import ctypes
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

_ENTRY = Path(__file__).parents[1] / "shiftvit_pipeline.py"
_PR_SET_PDEATHSIG = 1  # of Linux's prctl
_EXCEPTION = re.compile(r"^(?:[A-Za-z_]\w*\.)*_?[A-Z]\w*(?:Error|Exception|Exit|Interrupt)\b.*$", re.MULTILINE)


def python(module: str) -> tuple[str, ...]:
    """Returns the command that runs one of our modules, whatever else has its name on the path."""
    return (sys.executable, str(_ENTRY), module)


def end_with_parent() -> Callable[[], Any] | None:
    """Returns a `preexec_fn` that has the kernel terminate the child when this process dies; None except on Linux."""
    if sys.platform != "linux":
        return None
    prctl = ctypes.CDLL(None).prctl  # looked up before the fork: very little is safe after it
    return lambda: prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


def stop(process: subprocess.Popen, grace: float, group: bool = False) -> None:
    """Terminates a process; kills it if it outlives the grace period, or at another Ctrl-C.

    Args:
        process: may have ended already.
        grace: seconds.
        group: signals the whole process group, which the process must lead.
    """
    if process.poll() is not None:
        return
    send(process, signal.SIGTERM, group)
    try:
        process.wait(grace)
    except (subprocess.TimeoutExpired, KeyboardInterrupt):
        send(process, signal.SIGKILL, group)
        process.wait()


def send(process: subprocess.Popen, number: int, group: bool = False) -> None:
    """Sends a signal to a process or to the group that it leads, either of which may have ended."""
    with contextlib.suppress(ProcessLookupError):
        if group:
            os.killpg(process.pid, number)
        else:
            process.send_signal(number)


def describe_signal(status: int) -> str:
    """Describes the signal behind a negative exit status.

    >>> describe_signal(-9)
    'SIGKILL, which is what happens when memory runs out'
    """
    name = signal.Signals(-status).name
    return f"{name}, which is what happens when memory runs out" if -status == signal.SIGKILL else name


def last_exception(log: Path) -> str | None:
    """Returns the last exception at the end of a log, as its traceback names it, or None."""
    return last_exception_in(_end_of(log))


def last_traceback(log: Path) -> str:
    """Returns the end of a log from its last traceback on, or all of the end if it has none."""
    _, start, traceback = _end_of(log).rpartition("Traceback (most recent call last):")
    return start + traceback


def _end_of(log: Path) -> str:
    with log.open("rb") as file:
        file.seek(max(0, log.stat().st_size - (1 << 16)))
        return file.read().decode(errors="backslashreplace")


def last_exception_in(text: str) -> str | None:
    r"""Returns the last exception in a text that holds tracebacks, or None.

    >>> last_exception_in("Traceback ...\n  File ...\nValueError: 7\n")
    'ValueError: 7'
    """
    exceptions = _EXCEPTION.findall(text)
    return exceptions[-1].strip()[:300] if exceptions else None
