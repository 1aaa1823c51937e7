"""Child processes: end with the parent, end on request, and what their exit status means. Standard library only."""

import ctypes
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from typing import Any

_PR_SET_PDEATHSIG = 1  # of Linux' prctl


def end_with_parent() -> Callable[[], Any] | None:
    """Returns a `preexec_fn` that has the kernel terminate the child when this process is killed; None off Linux."""
    if sys.platform != "linux":
        return None
    prctl = ctypes.CDLL(None).prctl  # looked up before the fork, after which hardly anything is safe
    return lambda: prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


def stop(process: subprocess.Popen, grace: float, group: bool = False) -> None:
    """Terminates the process, and kills it if it still runs after the grace period or at a further interrupt.

    Args:
        process: one that has ended already is left alone.
        grace: seconds.
        group: whether to signal its whole process group, which it must lead.
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
    """Returns for example `SIGKILL, which is what happens when memory runs out` for a negative exit status."""
    name = signal.Signals(-status).name
    return f"{name}, which is what happens when memory runs out" if -status == signal.SIGKILL else name
