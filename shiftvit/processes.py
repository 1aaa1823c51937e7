"""Child processes: how they end, and what their exit status means. Standard library only."""

import ctypes
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

_PR_SET_PDEATHSIG = 1  # of Linux's prctl
_EXCEPTION = re.compile(r"^(?:[A-Za-z_]\w*\.)*_?[A-Z]\w*(?:Error|Exception|Exit|Interrupt)\b.*$", re.MULTILINE)


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
    send: Callable[[int], None] = (lambda number: os.killpg(process.pid, number)) if group else process.send_signal
    send(signal.SIGTERM)
    try:
        process.wait(grace)
    except (subprocess.TimeoutExpired, KeyboardInterrupt):
        send(signal.SIGKILL)
        process.wait()


def describe_signal(status: int) -> str:
    """Describes the signal behind a negative exit status.

    >>> describe_signal(-9)
    'SIGKILL, which is what happens when memory runs out'
    """
    name = signal.Signals(-status).name
    return f"{name}, which is what happens when memory runs out" if -status == signal.SIGKILL else name


def last_exception(log: Path) -> str | None:
    """Returns the last exception at the end of a log, as its traceback names it, or None."""
    with log.open("rb") as file:
        file.seek(max(0, log.stat().st_size - (1 << 16)))
        return last_exception_in(file.read().decode(errors="backslashreplace"))


def last_exception_in(text: str) -> str | None:
    r"""Returns the last exception in a text that holds tracebacks, or None.

    >>> last_exception_in("Traceback ...\n  File ...\nValueError: 7\n")
    'ValueError: 7'
    """
    exceptions = _EXCEPTION.findall(text)
    return exceptions[-1].strip()[:300] if exceptions else None
