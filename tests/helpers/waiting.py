"""Waits for other processes and threads. No test depends on the machine's speed: only a hang reaches the limit."""

import time

HANG_SECONDS = 20 * 60.0


def wait_until(condition, process=None):
    """Returns once `condition()` is true.

    Args:
        condition: a function of no arguments.
        process: the Popen that makes the condition true; the test fails if it ends first.
    """
    deadline = time.monotonic() + HANG_SECONDS
    while not condition():
        ended = process is not None and process.poll() is not None
        assert not ended or condition(), f"the process ended with {process.returncode}: {_last_words(process)}"
        assert time.monotonic() < deadline, f"nothing happened in {HANG_SECONDS / 60:.0f} minutes"
        time.sleep(0.02)


def _last_words(process):
    return process.stderr.read()[-2000:] if process.stderr else ""
