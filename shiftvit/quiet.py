"""Silences libraries in commands that load TensorFlow into this process rather than into a child with a log file."""

import contextlib
import logging
import os
import sys
import warnings
from collections.abc import Iterator, Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType
from typing import TextIO

STDERR = 2  # the file descriptor, which C++ libraries write to directly


def silence_libraries() -> None:
    """Hides the libraries' warnings and log lines. Call it before importing them."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    if not any(isinstance(finder, _QuietTensorFlow) for finder in sys.meta_path):
        sys.meta_path.insert(0, _QuietTensorFlow())
    warnings.simplefilter("ignore")
    logging.getLogger("tensorflow").setLevel(logging.ERROR)
    logging.getLogger("absl").setLevel(logging.ERROR)


def silence_native_code() -> None:
    """Discards what C and C++ libraries write to stderr, such as a line for each image that cannot be decoded.

    Python still writes to the terminal. If a library aborts the process, its message is lost too.
    """
    sys.stderr = _copy_of_stderr()
    _discard_stderr()


def silence_xla() -> None:
    """Triggers and discards the lines that XLA logs once per process whatever the log level."""
    import tensorflow as tf

    from shiftvit.tracing import compiled

    with _silent_native_code():
        compiled(lambda x: x + 1.0)(tf.constant(0.0))


class _QuietTensorFlow(MetaPathFinder):
    """Discards what TensorFlow's libraries write while they load, which TF 2.21 does whatever the log level."""

    def find_spec(self, name: str, path: Sequence[str] | None, target: ModuleType | None = None) -> ModuleSpec | None:
        spec = PathFinder.find_spec(name, path, target) if name == "tensorflow" else None
        if spec and spec.loader:
            spec.loader.exec_module = _silent_native_code()(spec.loader.exec_module)  # type: ignore[method-assign]
        return spec


@contextlib.contextmanager
def _silent_native_code() -> Iterator[None]:
    """Does `silence_native_code` for a while. Handlers of logs that are made meanwhile keep working after it."""
    python = sys.stderr
    terminal = sys.stderr = _copy_of_stderr()
    _discard_stderr()
    try:
        yield
    finally:
        os.dup2(terminal.fileno(), STDERR)
        sys.stderr = python


def _copy_of_stderr() -> TextIO:
    return os.fdopen(os.dup(STDERR), "w", buffering=1, encoding=sys.stderr.encoding, errors="backslashreplace")


def _discard_stderr() -> None:
    with open(os.devnull, "wb") as devnull:
        os.dup2(devnull.fileno(), STDERR)
