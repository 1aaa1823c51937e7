"""The errors a user can cause, each with the exit code the command line ends with."""


def one_line(error: BaseException) -> str:
    """Returns the first line of an error of TensorFlow, whose further lines are a trace of its graph."""
    return str(getattr(error, "message", error)).strip().partition("\n")[0]


class UserError(Exception):
    """The run failed in a way that one sentence explains. Shown without a traceback."""

    exit_code = 1


class DiskFullError(UserError):
    """There is no room to write; the sentence names the folder, what is written there and how much that takes."""


class ConfigError(UserError):
    """Wrong usage or configuration; the sentence names the key or option and what it accepts."""

    exit_code = 2


class DataError(UserError):
    """Bad data; the sentence names the file, and the offset where there is one."""

    exit_code = 3


class NotBlessedError(UserError):
    """The model was not blessed, so it was not pushed; the sentence names the gate and by how much it failed."""

    exit_code = 4
