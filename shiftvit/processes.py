"""Child processes: how they end, and what their exit status means. Standard library only."""

import ctypes
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from typing import Any

_PR_SET_PDEATHSIG = 1  # of Linux's prctl


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
