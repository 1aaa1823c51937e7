"""Ctrl-C, SIGTERM and SIGHUP: the first stops a command as Ctrl-C does, later ones hurry it. Standard library only.

Python raises KeyboardInterrupt at every Ctrl-C, so also in the middle of cleaning up after the one before.
"""

import contextlib
import os
import signal
import threading
from collections.abc import Callable, Iterator

EXIT_CODE = 130
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_PATIENCE = 3  # the number of signals after which the process ends at once

_hurry: list[Callable[[], None]] = []  # what to do at the second signal


@contextlib.contextmanager
def once() -> Iterator[None]:
    """Has the first signal in the block raise KeyboardInterrupt, and no other one.

    Signals that are ignored, as with nohup, stay ignored. Does nothing within such a block, or in another thread than
    the main one, which alone may handle signals.
    """
    previous = {number: signal.getsignal(number) for number in _SIGNALS}
    if threading.current_thread() is not threading.main_thread() or isinstance(previous[signal.SIGTERM], _Handler):
        yield
        return
    handler = _Handler()
    try:
        for number in _SIGNALS:
            if previous[number] != signal.SIG_IGN:
                signal.signal(number, handler)
        yield
    finally:
        for number in _SIGNALS:
            signal.signal(number, previous[number])


@contextlib.contextmanager
def hurried_by(action: Callable[[], None]) -> Iterator[None]:
    """Has the second signal in the block call `action`, such as to kill a process that the block waits for."""
    with once():
        _hurry.append(action)
        try:
            yield
        finally:
            _hurry.remove(action)


class _Handler:
    """Handles the signals of a block."""

    def __init__(self) -> None:
        self.count = 0

    def __call__(self, number: int, frame: object) -> None:
        self.count += 1
        if self.count == 1:
            raise KeyboardInterrupt
        if self.count == _PATIENCE:
            os._exit(EXIT_CODE)
        for action in _hurry:
            action()
