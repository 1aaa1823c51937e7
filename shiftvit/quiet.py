"""Silences libraries in commands that load TensorFlow into this process rather than into a child with a log file."""

import logging
import os
import sys
import warnings

STDERR = 2  # the file descriptor, which C++ libraries write to directly


def silence_libraries() -> None:
    """Hides the libraries' warnings and log lines. Call it before importing them."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    warnings.simplefilter("ignore")
    logging.getLogger("tensorflow").setLevel(logging.ERROR)
    logging.getLogger("absl").setLevel(logging.ERROR)


def silence_native_code() -> None:
    """Discards what C and C++ libraries write to stderr, such as a line for each image that cannot be decoded.

    Python still writes to the terminal. If a library aborts the process, its message is lost too.
    """
    sys.stderr = os.fdopen(os.dup(STDERR), "w", buffering=1)
    _discard_stderr()


def silence_xla() -> None:
    """Triggers and discards the lines that XLA logs once per process whatever the log level."""
    import tensorflow as tf

    from shiftvit.tracing import compiled

    terminal = os.dup(STDERR)
    _discard_stderr()
    try:
        compiled(lambda x: x + 1.0)(tf.constant(0.0))
    finally:
        os.dup2(terminal, STDERR)
        os.close(terminal)


def _discard_stderr() -> None:
    with open(os.devnull, "w") as devnull:
        os.dup2(devnull.fileno(), STDERR)
