"""Unexpected errors: one sentence for the user, and the traceback in a file. Standard library only."""

import contextlib
import os
import platform
import sys
import tempfile
import traceback
from collections.abc import Sequence

from pipeline.cli.parser import DEBUG
from shiftvit.errors import one_line


def is_debugging(argv: Sequence[str] | None) -> bool:
    """Returns whether the command line asks for the traceback instead."""
    return DEBUG in (sys.argv[1:] if argv is None else argv)


def describe(error: Exception) -> str:
    """Writes the traceback to a file for temporary files; returns the sentence with the error and the file's path."""
    reason = f"unexpected {type(error).__name__}: {one_line(error)}".rstrip(": ")
    with contextlib.suppress(OSError):  # such as a full disk, which may be the error itself
        descriptor, path = tempfile.mkstemp(".log", "shiftvit-")
        with os.fdopen(descriptor, "w", encoding="utf-8", errors="backslashreplace") as file:
            print(*map(repr, sys.argv), f"\nPython {platform.python_version()}, {platform.platform()}", file=file)
            traceback.print_exception(error, file=file)
        return f"{reason} (traceback: {path})"
    return f"{reason} ({DEBUG} shows the traceback)"
