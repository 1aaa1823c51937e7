"""`shiftvit bench`: shows the benchmarks' progress on stderr and prints their tables."""

import argparse
import dataclasses
import json

import benchmarks
from pipeline import config as configuration
from pipeline.events import COMPLETE, Events
from pipeline.presets import PRESETS, preset
from pipeline.quiet import hush_libraries, hush_xla
from shiftvit.config import ExperimentConfig, require
from shiftvit.progress import LOGGER

_SECONDS = 60.0


def add_options(parser: argparse.ArgumentParser) -> None:
    """Adds the options that only this command has."""
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"{', '.join(benchmarks.NAMES)} (default: all)")
    default = f"{benchmarks.PRESET} with {', '.join(benchmarks.SETTINGS)}"
    parser.add_argument("--preset", metavar="P", help=f"{', '.join(PRESETS)} (default: {default})")
    parser.add_argument(
        "--seconds",
        type=float,
        default=_SECONDS,
        metavar="N",
        help="how long to measure for each table, at least three rounds (default: %(default)g)",
    )


def run(arguments: argparse.Namespace) -> int:
    """Runs the benchmarks that `arguments` names, and prints the tables of each as soon as it has them.

    Raises:
        ConfigError: for an unknown benchmark, or a configuration that does not fit.
    """
    benchmarks.check_names(arguments.names)
    require(arguments.seconds >= 0, f"--seconds {arguments.seconds:g} must not be negative")
    base = preset(arguments.preset or benchmarks.PRESET)
    settings = () if arguments.preset else benchmarks.SETTINGS
    experiment = configuration.override(base, [*settings, *arguments.set]).experiment
    hush_libraries()
    measured = []
    for name in arguments.names or benchmarks.NAMES:
        for table in _measure(name, experiment, arguments.seconds):
            measured.append(dataclasses.asdict(table))
            if not arguments.json:
                print(table.render(), end="\n\n", flush=True)
    if arguments.json:
        print(json.dumps(measured, indent=2))
    return 0


def _measure(name: str, experiment: ExperimentConfig, seconds: float) -> list:
    from pipeline.terminal import ProgressHandler, make_display

    with make_display() as display:
        handler, events = ProgressHandler(display.show), Events(display.show)
        LOGGER.addHandler(handler)
        LOGGER.propagate = False  # TensorFlow gives the root logger a handler of its own on the way
        try:
            events.start(name)
            hush_xla()
            from benchmarks import suite

            tables = suite.run(name, experiment, seconds)
            events.end(COMPLETE)
        finally:
            LOGGER.propagate = True
            LOGGER.removeHandler(handler)
    return tables
