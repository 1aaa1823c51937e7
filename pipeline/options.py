"""How a command is added, and the options that give it its configuration. Imports nothing heavy."""

import argparse
import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pipeline import config as configuration
from pipeline.beam import RUNNERS
from pipeline.config import PipelineConfig
from pipeline.presets import PRESETS, preset
from shiftvit.errors import ConfigError

DEFAULT_WORKSPACE = "workspace"
_DEFAULT_PRESET = "quickstart"


def add_command(
    commands: Any, name: str, function: Callable[[argparse.Namespace], int] | None, summary: str, epilog: str = ""
) -> argparse.ArgumentParser:
    """Adds a command and returns its parser; `function` is `command` of its arguments, None where it has commands."""
    parser = commands.add_parser(
        name,
        help=summary,
        description=summary[0].upper() + summary[1:] + ".",
        epilog=epilog,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.set_defaults(command=function)
    return parser


def add_configuration(parser: argparse.ArgumentParser) -> None:
    """Adds the options that `resolve` reads."""
    add_settings(parser)
    parser.add_argument(
        "--data",
        metavar="SOURCE",
        help="shapes (the embedded set), tfds, tfds:ARCHIVE, or the path "
        "of an official CIFAR-10 archive or folder (default: the preset's)",
    )
    parser.add_argument(
        "--workspace", metavar="DIR", help=f"folder that holds everything (default: {DEFAULT_WORKSPACE})"
    )
    parser.add_argument(
        "--beam", metavar="NAME", help=f"where Apache Beam runs, short for --set beam.runner=NAME: {', '.join(RUNNERS)}"
    )


def add_settings(parser: argparse.ArgumentParser) -> None:
    """Adds those of them that a command without data and workspace of its own has."""
    parser.add_argument("--preset", metavar="P", help=f"{', '.join(PRESETS)} (default: {_DEFAULT_PRESET})")
    parser.add_argument("--config", metavar="FILE", type=Path, help="the config.json of an earlier run, to do it again")
    add_overrides(parser)
    parser.set_defaults(data=None, workspace=None, beam=None)


def add_overrides(parser: argparse.ArgumentParser) -> None:
    """Adds --set."""
    parser.add_argument(
        "--set",
        metavar="K=V",
        action="append",
        default=[],
        help="override one setting by its dotted name, or model=NAME for a published variant; may be repeated",
    )


def resolve(arguments: argparse.Namespace) -> PipelineConfig:
    """Returns the configuration: preset or file, then --data and --workspace, then --beam and each --set.

    Raises:
        ConfigError: when one of them does not fit.
    """
    if arguments.config is not None and arguments.preset is not None:
        raise ConfigError("give --preset or --config, not both: the file holds a whole configuration")
    config = (
        preset(arguments.preset or _DEFAULT_PRESET)
        if arguments.config is None
        else configuration.load(arguments.config)
    )
    given = {"source": arguments.data, "workspace": arguments.workspace}
    config = dataclasses.replace(config, **{name: value for name, value in given.items() if value is not None})
    engine = [] if arguments.beam is None else [f"beam.runner={arguments.beam}"]
    return configuration.override(config, [*engine, *arguments.set])
