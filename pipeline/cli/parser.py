"""A parser of arguments whose errors read as all others do: one sentence, with the nearest name and the way out."""

import argparse
import re
from collections.abc import Iterable

from shiftvit.config import suggest
from shiftvit.errors import ConfigError

_KINDS = {"int": "a whole number", "float": "a number"}


class Parser(argparse.ArgumentParser):
    """An ArgumentParser that raises instead of printing its usage and exiting.

    Every parser of a subcommand is one too, and refuses what it does not know by itself, since it alone knows what
    would be nearest. Names are whole: a part of one would come to mean another when options are added.
    """

    def __init__(self, *args, **kwargs):
        super().__init__(*args, allow_abbrev=False, **kwargs)

    def parse_known_args(self, args=None, namespace=None):
        """Returns the namespace, and nothing that is left.

        Raises:
            ConfigError: for wrong usage.
        """
        namespace, unknown = super().parse_known_args(args, namespace)
        if unknown:
            raise ConfigError(self._describe_unknown(unknown[0]))
        return namespace, unknown

    def error(self, message):
        """Raises ConfigError with argparse's message in our words."""
        for pattern, tell in _SENTENCES:
            if found := re.fullmatch(pattern, message, re.DOTALL):
                raise ConfigError(tell(self, *found.groups()))
        raise ConfigError(f"{message}; {self._way_out()}")

    def _describe_unknown(self, argument: str) -> str:
        if not argument.startswith("-"):
            return f"`{self.prog}` takes no argument {argument!r}; {self._way_out()}"
        name = argument.partition("=")[0]
        return f"`{self.prog}` has no option {name}; {suggest(name, self._long_options())}"

    def _describe_choice(self, argument: str, given: str) -> str:
        action = next(a for a in self._actions if argument in (a.metavar, *a.option_strings))
        what = "command" if isinstance(action, argparse._SubParsersAction) else argument
        return f"`{self.prog}` has no {what} {given}; {suggest(given.strip(chr(39)), action.choices)}"

    def _describe_missing(self, arguments: str) -> str:
        commands = next((a.choices for a in self._actions if isinstance(a, argparse._SubParsersAction)), ())
        listed = f" ({', '.join(commands)})" if commands else ""
        return f"`{self.prog}` needs {arguments}{listed}; {self._way_out()}"

    def _describe_value(self, argument: str, kind: str, given: str) -> str:
        return f"{argument}={given} must be {_KINDS.get(kind, kind)}; {self._way_out()}"

    def _describe_lack(self, argument: str) -> str:
        return f"{argument} needs a value; {self._way_out()}"

    def _long_options(self) -> Iterable[str]:
        return [option for action in self._actions for option in action.option_strings if option.startswith("--")]

    def _way_out(self) -> str:
        return f"`{self.prog} --help` shows how"


_SENTENCES = (
    (r"argument (\S+): invalid choice: (.*) \(choose from .*\)", Parser._describe_choice),
    (r"the following arguments are required: (.*)", Parser._describe_missing),
    (r"argument (?:-\w/)?(\S+): invalid (\w+) value: (.*)", Parser._describe_value),
    (r"argument (?:-\w/)?(\S+): expected .*arguments?", Parser._describe_lack),
)
