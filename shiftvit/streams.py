"""Standard streams that work whatever they are connected to: nothing, a full disk, a closed pipe, a narrow encoding."""

import errno
import io
import os
import sys
from typing import Any, TextIO, cast


class Output(io.FileIO):
    """A stream of bytes whose writes never raise. The first error is kept, and what follows it is discarded.

    So a run does not end because nobody can see its progress, and a result that could not be written is reported once.
    """

    error: OSError | None = None

    def write(self, data: Any) -> int:
        """Writes the data, or discards it after an error; returns its size."""
        if self.error is None:
            try:
                return super().write(data)
            except OSError as error:
                self.error = error
        return len(data)


def repair() -> None:
    """Opens the null device in place of standard streams that are closed, and has Python write through `Output`.

    Without this, the first files that are opened would take the place of the closed streams. Characters that the
    encoding lacks are written as escapes.
    """
    for descriptor in (0, 1, 2):
        try:
            os.set_blocking(descriptor, True)  # the process at the other end may have chosen otherwise
        except OSError:  # the lowest free descriptor is this one
            os.open(os.devnull, os.O_RDWR)
    sys.stdin = sys.stdin or os.fdopen(0, encoding="utf-8", closefd=False)
    sys.stdout, sys.stderr = _open(1, sys.stdout), _open(2, sys.stderr)


def _open(descriptor: int, before: TextIO | None) -> TextIO:
    raw = Output(descriptor, "w", closefd=False)
    return io.TextIOWrapper(
        io.BufferedWriter(raw),
        encoding=before.encoding if before else "utf-8",
        errors="backslashreplace",
        line_buffering=descriptor == 2 or raw.isatty() or getattr(before, "write_through", False),
    )


def describe_failure() -> str | None:
    """Returns why the output is incomplete, or None; a reader that closed the pipe wanted no more and is no failure."""
    sys.stdout.flush()
    error = cast(Output, cast(io.BufferedWriter, sys.stdout.buffer).raw).error
    if error is None or error.errno == errno.EPIPE:
        return None
    return f"stdout: cannot write the output there ({error.strerror})"
