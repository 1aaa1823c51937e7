"""Silence for commands that load TensorFlow in this process, and not in a child with a log."""

import logging
import os
import sys
import warnings

STDERR = 2  # the descriptor, which libraries in C++ write to


def hush_libraries() -> None:
    """Keeps the chatter of the libraries off the terminal, where it would hide the answer; call before their import."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    warnings.simplefilter("ignore")
    logging.getLogger("tensorflow").setLevel(logging.ERROR)
    logging.getLogger("absl").setLevel(logging.ERROR)


def hush_native_code() -> None:
    """Sends nowhere what libraries in C and C++ write to the terminal, as they do of every image that is none.

    Python's own messages go there still. A library that aborts the process does so without a word.
    """
    sys.stderr = os.fdopen(os.dup(STDERR), "w", buffering=1)
    with open(os.devnull, "w") as nowhere:
        os.dup2(nowhere.fileno(), STDERR)


def hush_xla() -> None:
    """Lets XLA say what it says once in each process, whatever the log level, while nobody listens."""
    import tensorflow as tf

    terminal = os.dup(STDERR)
    with open(os.devnull, "w") as nowhere:
        os.dup2(nowhere.fileno(), STDERR)
    try:
        tf.function(lambda x: x + 1.0, jit_compile=True)(tf.constant(0.0))
    finally:
        os.dup2(terminal, STDERR)
        os.close(terminal)
