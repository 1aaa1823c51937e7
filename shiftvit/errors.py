"""Errors that a user can cause, with the exit code of the command line for each."""


def one_line(error: BaseException) -> str:
    """Returns the first line of the message; TensorFlow appends a trace of its graph in further lines."""
    return str(getattr(error, "message", error)).strip().partition("\n")[0]


class UserError(Exception):
    """A failure that one sentence explains; shown without a traceback."""

    exit_code = 1


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
