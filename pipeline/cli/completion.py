"""`shiftvit completion`: shell completion of commands, options, presets, settings, run ids and versions.

argcomplete implements the protocol. The shell starts `shiftvit` with _ARGCOMPLETE in its environment at each TAB, so
nothing heavy may be imported on the way.
"""

import argparse
import os
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Literal, get_args, get_origin, get_type_hints

import benchmarks
from components import serving_folder
from pipeline.cli.options import add_command, workspace_of
from pipeline.config.beam import RUNNERS
from pipeline.config.presets import PRESETS
from pipeline.config.settings import PipelineConfig
from pipeline.config.source import SHAPES, TFDS
from shiftvit.variants import VARIANTS

SHELLS = ("bash", "zsh", "fish")

_ENVIRONMENT_VARIABLE = "_ARGCOMPLETE"  # set by the shell when it asks for completions

Completer = Callable[..., Iterable[str]]


def add(commands: Any) -> None:
    """Adds the command."""
    parser = add_command(commands, "completion", _print_script, "print a completion script for a shell")
    parser.add_argument("shell", choices=SHELLS, metavar="SHELL", help=", ".join(SHELLS))


def answer(parser: argparse.ArgumentParser) -> None:
    """Prints the completions and ends the process if a shell asks for them; otherwise does nothing."""
    if _ENVIRONMENT_VARIABLE not in os.environ:
        return
    import argcomplete

    _attach(parser)
    argcomplete.autocomplete(parser, always_complete_options=False)


def settings(prefix: str, **_: Any) -> list[str]:
    """Completes `--set`: returns `KEY=` for every key, or after `KEY=` the key's values if they can be listed."""
    key, separator, _value = prefix.partition("=")
    choices = _choices(PipelineConfig) | {"model": tuple(VARIANTS)}
    return [f"{key}={choice}" for choice in choices.get(key, ())] if separator else [f"{known}=" for known in choices]


def _choices(config: type, path: str = "") -> dict[str, tuple[str, ...]]:
    """Returns the values of each setting by its dotted key; an empty tuple if they cannot be listed."""
    found: dict[str, tuple[str, ...]] = {}
    for name, kind in get_type_hints(config).items():
        if hasattr(kind, "__dataclass_fields__"):
            found |= _choices(kind, f"{path}{name}.")
        elif get_origin(kind) is Literal:
            found[path + name] = get_args(kind)
        else:
            found[path + name] = ("true", "false") if kind is bool else ()
    return found


def _run_ids(parsed_args: argparse.Namespace, **_: Any) -> list[str]:
    return [folder.id for folder in workspace_of(parsed_args).run_folders()]


def _versions(parsed_args: argparse.Namespace, **_: Any) -> list[str]:
    return [str(number) for number in serving_folder.numbers(workspace_of(parsed_args).serving)]


def _sources(prefix: str, **_: Any) -> list[str]:
    from argcomplete.completers import FilesCompleter

    return [SHAPES, TFDS, *FilesCompleter()(prefix)]


_COMPLETERS: Mapping[str, Completer] = {  # by the argument's name in the namespace
    "preset": lambda **_: PRESETS,
    "set": settings,
    "beam": lambda **_: RUNNERS,
    "data": _sources,
    "names": lambda **_: benchmarks.NAMES,
    "run": _run_ids,
    "version": _versions,
}


def _attach(parser: argparse.ArgumentParser) -> None:
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for command in action.choices.values():
                _attach(command)
        elif action.dest in _COMPLETERS:
            action.completer = _COMPLETERS[action.dest]  # type: ignore[attr-defined]  # argcomplete reads it


def _print_script(arguments: argparse.Namespace) -> int:
    from argcomplete.shell_integration import shellcode

    print(shellcode(["shiftvit"], shell=arguments.shell))
    return 0
