"""Makes good what a process may inherit and libraries cannot cope with. Standard library only.

Children inherit the result. Nothing here changes what a command computes.
"""

import contextlib
import os
import resource
import signal
import sys
import tempfile

from shiftvit.errors import ConfigError

MIN_OPEN_FILES = 256


def prepare() -> None:
    """Prepares this process and its children.

    Raises:
        ConfigError: for what cannot be made good, with the way out.
    """
    _have_plain_python()
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)  # ignored, the exit codes of children would be lost
    _allow_open_files()
    _have_working_folder()
    _have_temporary_folder()
    _have_home()


def _have_plain_python() -> None:
    """Starts this process anew if Python left out docstrings, which libraries need, or takes all paths for ASCII."""
    os.environ.pop("PYTHONWARNINGS", None)  # libraries fail if warnings are errors
    without_docstrings = os.environ.pop("PYTHONOPTIMIZE", None) and sys.flags.optimize
    only_ascii = sys.getfilesystemencoding() == "ascii" and os.environ.get("PYTHONUTF8") != "1"
    if only_ascii:
        os.environ["PYTHONUTF8"] = "1"
    if without_docstrings or only_ascii:
        os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])


def _allow_open_files() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(ValueError, OSError):  # such as the limit of macOS, which is lower than it says
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        soft = hard
    if soft != resource.RLIM_INFINITY and soft < MIN_OPEN_FILES:
        raise ConfigError(
            f"this process may open only {soft} files, and {MIN_OPEN_FILES} are needed; raise the limit with "
            f"`ulimit -n {MIN_OPEN_FILES}`"
        )


def _have_working_folder() -> None:
    try:
        os.getcwd()
    except OSError as error:
        raise ConfigError("the working directory was removed; change to another one, then try again") from error


def _have_temporary_folder() -> None:
    """Sets TMPDIR to the folder that Python chose, because others take TMPDIR whether it can be written or not."""
    try:
        os.environ["TMPDIR"] = tempfile.gettempdir()
    except OSError as error:
        raise ConfigError(
            "there is no folder for temporary files that can be written and has room; set TMPDIR to one"
        ) from error


def _have_home() -> None:
    """Sets HOME and USER for a user without either, as a container's may be."""
    if not os.environ.get("HOME"):
        os.environ.pop("HOME", None)  # so that the user database is asked
    if not os.path.isabs(os.path.expanduser("~")):
        os.environ["HOME"] = tempfile.gettempdir()
    if not any(os.environ.get(name) for name in ("LOGNAME", "USER", "LNAME", "USERNAME")):
        os.environ["USER"] = f"user{os.getuid()}"
