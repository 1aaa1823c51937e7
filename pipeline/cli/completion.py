"""`shiftvit completion`: has a shell complete commands, options, presets, settings, run ids and versions.

argcomplete does the talking with the shell, which starts `shiftvit` with _ARGCOMPLETE in its environment at each TAB;
so nothing heavy may be imported on the way.
"""

import argparse
import os
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Literal, get_args, get_origin, get_type_hints

import benchmarks
from components import serving_folder
from pipeline.cli import help_examples
from pipeline.cli.options import add_command, workspace_of
from pipeline.config.beam import RUNNERS
from pipeline.config.presets import PRESETS
from pipeline.config.settings import PipelineConfig
from pipeline.config.source import SHAPES, TFDS
from shiftvit.variants import VARIANTS

SHELLS = ("bash", "zsh", "fish")

_ASKED = "_ARGCOMPLETE"  # the variable of argcomplete's protocol

Completer = Callable[..., Iterable[str]]


def add(commands: Any) -> None:
    """Adds the command."""
    parser = add_command(
        commands,
        "completion",
        _print_script,
        "print a script that completes in a shell",
        epilog=help_examples.COMPLETION,
    )
    parser.add_argument("shell", choices=SHELLS, metavar="SHELL", help=", ".join(SHELLS))


def answer(parser: argparse.ArgumentParser) -> None:
    """Answers the shell and ends the process, where it is a shell that asks; else does nothing."""
    if _ASKED not in os.environ:
        return
    import argcomplete

    _attach(parser)
    argcomplete.autocomplete(parser, always_complete_options=False)


def settings(prefix: str, **_: Any) -> list[str]:
    """Returns what `--set` takes: `KEY=` for every key; once the key is there, its values where they are few."""
    key, given, _value = prefix.partition("=")
    choices = _choices(PipelineConfig) | {"model": tuple(VARIANTS)}
    return [f"{key}={choice}" for choice in choices.get(key, ())] if given else [f"{known}=" for known in choices]


def _choices(config: type, path: str = "") -> dict[str, tuple[str, ...]]:
    """Returns the values of each setting in the tree by its dotted key; none where they cannot be listed."""
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


_COMPLETERS: Mapping[str, Completer] = {  # by the name that the parsed argument has
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
            action.completer = _COMPLETERS[action.dest]


def _print_script(arguments: argparse.Namespace) -> int:
    import argcomplete

    print(argcomplete.shellcode(["shiftvit"], shell=arguments.shell))
    return 0
