"""Adding a command, and the options that several commands share. Imports nothing heavy."""

import argparse
import dataclasses
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pipeline.cli.epilogs import EPILOGS
from pipeline.config import config_file
from pipeline.config.beam import RUNNERS
from pipeline.config.overrides import last_value, override
from pipeline.config.presets import PRESETS, preset
from pipeline.config.settings import PipelineConfig
from pipeline.config.source import FOLDER, FORMS, IMAGE_FILES, PATH, TFDS_SET, parse_source
from pipeline.runs import run_folder
from pipeline.runs.workspace import Workspace
from shiftvit.config import require
from shiftvit.files import paths

DEFAULT_WORKSPACE = PipelineConfig.workspace
_DEFAULT_PRESET, _IMAGES_PRESET = "quickstart", "images"  # the latter for image files


def add_command(
    commands: Any, name: str, function: Callable[[argparse.Namespace], int] | None, summary: str
) -> argparse.ArgumentParser:
    """Adds a command, with its examples if it has any, and returns its parser.

    Args:
        commands: the subparsers to add it to.
        name: of the command.
        function: runs the command and returns the exit code; None for a command that only has commands of its own.
        summary: a phrase for the list of commands.
    """
    description = summary[0].upper() + summary[1:] + "."
    formatter = argparse.RawDescriptionHelpFormatter
    parser = commands.add_parser(name, help=summary, description=description, formatter_class=formatter)
    parser.epilog = EPILOGS.get(parser.prog)
    parser.set_defaults(command=function)
    return parser


def add_configuration(parser: argparse.ArgumentParser) -> None:
    """Adds the options that `resolve` reads."""
    add_settings(parser)
    parser.add_argument("--data", metavar="SOURCE", help=f"data source: {FORMS} (default: the preset's)")
    parser.add_argument(
        "--workspace", metavar="DIR", help=f"folder for everything the pipeline makes (default: {DEFAULT_WORKSPACE})"
    )
    parser.add_argument(
        "--beam", metavar="NAME", help=f"runner of Apache Beam, short for --set beam.runner=NAME: {', '.join(RUNNERS)}"
    )


def add_settings(parser: argparse.ArgumentParser) -> None:
    """Adds the options that `resolve` reads, except for those that choose the data and the workspace."""
    parser.add_argument("--preset", metavar="P", help=f"preset: {', '.join(PRESETS)} (default: {_DEFAULT_PRESET})")
    parser.add_argument(
        "--config", metavar="FILE", type=Path, help="the config.json of a run to repeat, or a part of one"
    )
    add_overrides(parser)
    parser.set_defaults(data=None, workspace=None, beam=None)


def add_overrides(parser: argparse.ArgumentParser) -> None:
    """Adds --set."""
    summary = "override a setting by its dotted name, or use a published model with model=NAME; may be repeated"
    parser.add_argument("--set", metavar="K=V", action="append", default=[], help=summary)


def add_workspace(parser: argparse.ArgumentParser) -> None:
    """Adds --workspace to a command without a configuration; `workspace_of` reads it."""
    summary = "folder with everything the pipeline made (default: %(default)s)"
    parser.add_argument("--workspace", metavar="DIR", default=DEFAULT_WORKSPACE, help=summary)


def add_wait(parser: argparse.ArgumentParser) -> None:
    """Adds --wait, for commands that lock the workspace."""
    parser.add_argument("--wait", action="store_true", help="wait while another command writes in the workspace")


def add_json(parser: argparse.ArgumentParser) -> None:
    """Adds --json."""
    parser.add_argument("--json", action="store_true", help="print JSON instead of text")


def workspace_of(arguments: argparse.Namespace) -> Workspace:
    """Returns the workspace that --workspace names, by default DEFAULT_WORKSPACE."""
    return Workspace(folder_of(arguments, "workspace", DEFAULT_WORKSPACE))


def folder_of(arguments: argparse.Namespace, option: str, default: str = "") -> Path:
    """Returns the folder that an option names, with `~` expanded.

    Raises:
        ConfigError: a character in its path cannot be used.
    """
    path = Path(os.path.expanduser(getattr(arguments, option) or default))
    paths.check(path, f"--{option}")
    return path


def resolve(arguments: argparse.Namespace) -> PipelineConfig:
    """Returns the configuration; later options override earlier ones: preset, file, data, workspace, beam, set.

    The preset is the one that --preset, the file or `--set preset=` names, or else suits the data.

    Raises:
        ConfigError: for an invalid option or configuration, or two different presets.
    """
    path, file = arguments.config, {} if arguments.config is None else config_file.read(arguments.config)
    presets = {
        "--preset": arguments.preset,
        path: file.get("preset"),
        "--set preset": last_value(arguments.set, "preset"),
    }
    named = {where: name for where, name in presets.items() if name is not None}
    require(
        len(set(named.values())) <= 1,
        f"{', '.join(f'{where} names preset {name}' for where, name in named.items())}: only one can be the base of a "
        "configuration; leave the others out",
    )
    source = last_value(arguments.set, "source") or arguments.data or file.get("source")
    base = next(iter(named.values()), None) or _preset_for(source)
    config = preset(base) if path is None else config_file.build(path, file, base)
    config = config if path is None else run_folder.in_its_workspace(config, path)
    given = {"source": arguments.data, "workspace": arguments.workspace}
    config = dataclasses.replace(config, **{name: value for name, value in given.items() if value is not None})
    engine = [] if arguments.beam is None else [f"beam.runner={arguments.beam}"]
    config = override(config, [*engine, *arguments.set])
    config = dataclasses.replace(config, workspace=os.path.expanduser(config.workspace))
    config.check_paths()
    require(
        parse_source(config.source) != (FOLDER, None),
        f"preset {config.preset} needs your images: --data PATH names a folder with a folder for each class, "
        "or a CSV file",
    )
    return config


def _preset_for(source: str | None) -> str:
    """Returns the preset for a data source without --preset."""
    if source is None:
        return _DEFAULT_PRESET
    kind, path = parse_source(source)
    if path is not None:
        paths.check(path, "source")
    if kind == PATH and path is not None and path.exists():
        from pipeline.sources import detect

        kind = detect.kind_of(path)
    return _IMAGES_PRESET if kind in (*IMAGE_FILES, TFDS_SET) else _DEFAULT_PRESET
