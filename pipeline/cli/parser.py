"""An argument parser whose errors are one sentence with the nearest valid name or the way to the help."""

import argparse
import re
import sys
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NoReturn

from shiftvit.config import suggest
from shiftvit.errors import ConfigError

DEBUG = "--debug"
_KINDS = {"int": "a whole number", "float": "a number"}


class Parser(argparse.ArgumentParser):
    """An ArgumentParser that raises ConfigError instead of printing its usage and exiting.

    Parsers of subcommands are of this class too. Each refuses unknown arguments itself, because it knows which of its
    options is nearest. Options cannot be abbreviated: an abbreviation could change its meaning with a new option.
    """

    def __init__(self, **options: Any):
        super().__init__(**options, allow_abbrev=False)
        summary = "show the traceback of an unexpected error"
        self.add_argument(DEBUG, action="store_true", default=argparse.SUPPRESS, help=summary)

    # argparse declares overloads that differ in the type of the namespace.
    def parse_known_args(  # type: ignore[override]
        self, args: Sequence[str] | None = None, namespace: argparse.Namespace | None = None
    ) -> tuple[argparse.Namespace, list[str]]:
        """Returns the parsed arguments, and an empty list.

        Raises:
            ConfigError: for wrong usage.
        """
        given = list(sys.argv[1:] if args is None else args)
        _refuse_empty(given)
        parsed, unknown = super().parse_known_args(given, namespace)
        if unknown:
            raise ConfigError(self._describe_unknown(unknown[0]))
        return parsed, unknown

    def error(self, message: str) -> NoReturn:
        """Raises ConfigError with argparse's message in our words."""
        for pattern, describe in _MESSAGES:
            if found := re.fullmatch(pattern, message, re.DOTALL):
                raise ConfigError(describe(self, *found.groups()))
        raise ConfigError(f"{message}; {self._see_help()}")

    def _describe_unknown(self, argument: str) -> str:
        if not argument.startswith("-"):
            return f"`{self.prog}` takes no argument {argument!r}; {self._see_help()}"
        name = argument.partition("=")[0]
        return f"`{self.prog}` has no option {name}; {suggest(name, self._long_options())}"

    def _describe_choice(self, argument: str, given: str) -> str:
        action = next(a for a in self._actions if argument in (a.metavar, *a.option_strings))
        kind = "command" if isinstance(action, argparse._SubParsersAction) else argument
        return f"`{self.prog}` has no {kind} {given}; {suggest(given.strip(chr(39)), action.choices or ())}"

    def _describe_missing(self, arguments: str) -> str:
        commands = next((a.choices for a in self._actions if isinstance(a, argparse._SubParsersAction)), ())
        listed = f" ({', '.join(commands)})" if commands else ""
        return f"`{self.prog}` needs {arguments}{listed}; {self._see_help()}"

    def _describe_value(self, argument: str, kind: str, given: str) -> str:
        return f"{argument}={given} must be {_KINDS.get(kind, kind)}; {self._see_help()}"

    def _describe_missing_value(self, argument: str) -> str:
        return f"{argument} needs a value; {self._see_help()}"

    def _long_options(self) -> Iterable[str]:
        return [option for action in self._actions for option in action.option_strings if option.startswith("--")]

    def _see_help(self) -> str:
        return f"see `{self.prog} --help`"


def _refuse_empty(arguments: list[str]) -> None:
    """Raises ConfigError for a blank argument: the default in its place would hide that a variable is not set."""
    for before, argument in zip(["", *arguments], arguments, strict=False):
        option, value = argument.split("=", 1) if re.match(r"--[\w-]+=", argument) else (before, argument)
        if not value.strip():
            name = option if option.startswith("-") else "an argument"
            raise ConfigError(f"{name} is empty, as from a shell variable that is not set: give a value, or omit it")


_MESSAGES: Sequence[tuple[str, Callable[..., str]]] = (  # argparse's messages as patterns, and ours
    (r"argument (\S+): invalid choice: (.*) \(choose from .*\)", Parser._describe_choice),
    (r"the following arguments are required: (.*)", Parser._describe_missing),
    (r"argument (?:-\w/)?(\S+): invalid (\w+) value: (.*)", Parser._describe_value),
    (r"argument (?:-\w/)?(\S+): expected .*arguments?", Parser._describe_missing_value),
)
