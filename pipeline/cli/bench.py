"""`shiftvit bench`: runs benchmarks and prints their tables."""

import argparse
import dataclasses
from typing import Any

import benchmarks
from benchmarks.table import Table
from pipeline.cli.options import add_command, add_json, add_overrides
from pipeline.cli.output import print_json
from pipeline.config.overrides import last_value, override
from pipeline.config.presets import PRESETS, preset
from shiftvit.config import ExperimentConfig
from shiftvit.quiet import silence_libraries, silence_xla
from shiftvit.ranges import Range

_SECONDS = 60.0


def add(commands: Any) -> None:
    """Adds the command."""
    parser = add_command(commands, "bench", _run, "measure speed, and compare it with the hardware's limits")
    parser.add_argument(
        "names", nargs="*", metavar="NAME", help=f"benchmark: {', '.join(benchmarks.NAMES)} (default: all)"
    )
    default = f"{benchmarks.PRESET} with {', '.join(benchmarks.SETTINGS)}"
    parser.add_argument("--preset", metavar="P", help=f"preset: {', '.join(PRESETS)} (default: {default})")
    parser.add_argument(
        "--seconds",
        type=float,
        default=_SECONDS,
        metavar="N",
        help="how long to measure for each table; three rounds at least (default: %(default)g)",
    )
    add_overrides(parser)
    add_json(parser)


def _run(arguments: argparse.Namespace) -> int:
    """Runs the benchmarks one by one and prints each one's tables as soon as it ends.

    Raises:
        ConfigError: for an unknown benchmark or an invalid configuration.
    """
    benchmarks.check_names(arguments.names)
    Range(0.0, 86_400.0).check(arguments.seconds, "--seconds")
    chosen = arguments.preset or last_value(arguments.set, "preset")
    settings = () if chosen else benchmarks.SETTINGS
    experiment = override(preset(chosen or benchmarks.PRESET), [*settings, *arguments.set]).experiment
    silence_libraries()
    measured = []
    for name in arguments.names or benchmarks.NAMES:
        for table in _measure(name, experiment, arguments.seconds):
            measured.append(dataclasses.asdict(table))
            if not arguments.json:
                print(table.render(), end="\n\n", flush=True)
    if arguments.json:
        return print_json(measured)
    return 0


def _measure(name: str, experiment: ExperimentConfig, seconds: float) -> list[Table]:
    from pipeline.cli.terminal import show_stage

    with show_stage(name):
        silence_xla()
        from benchmarks import suite

        return suite.run(name, experiment, seconds)
