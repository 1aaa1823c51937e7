"""Errors that a user can cause, with the exit code of the command line for each."""


def one_line(error: BaseException) -> str:
    """Returns the first line of the message; TensorFlow appends a trace of its graph in further lines."""
    return str(getattr(error, "message", error)).strip().partition("\n")[0]


def printable(text: str) -> str:
    r"""Returns text with escapes for bytes that are no text and for control sequences, which a file's name may contain.

    >>> printable("caf\u00e9 \x1b[31m")
    'café \\x1b[31m'
    """
    return "".join(
        char if char.isprintable() or char == "\n" else char.encode("unicode_escape").decode() for char in text
    )


class UserError(Exception):
    """A failure that one sentence explains; shown without a traceback."""

    exit_code = 1

    def __init__(self, message: str):
        super().__init__(message if message.isprintable() else printable(message))


class DiskFullError(UserError):
    """A full disk. The message names the folder, what is written there and the space it needs."""


class ConfigError(UserError):
    """Wrong usage or configuration. The message names the key or option and what it accepts."""

    exit_code = 2


class DataError(UserError):
    """Bad data. The message names the file, and the offset if there is one."""

    exit_code = 3


class NotBlessedError(UserError):
    """A model that was not pushed because a gate refused it. The message names the gate and the shortfall."""

    exit_code = 4
