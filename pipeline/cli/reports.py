"""`shiftvit runs`, `show`, `report` and `compare`: what was tried in a workspace. Imports nothing heavy."""

import argparse
from pathlib import Path
from typing import Any

from pipeline.cli import help_examples
from pipeline.cli.options import add_command, add_json, add_workspace, workspace_of
from pipeline.cli.output import print_json
from shiftvit.config import require
from shiftvit.errors import ConfigError, UserError
from shiftvit.files import atomic

_RUN = "the run's id, as `shiftvit runs` lists it; the latest where left out"
_SORTED_BY = ("run", "preset", "source", "state", "top-1", "top-5", "version", "time")


def add(commands: Any) -> None:
    """Adds the commands."""
    runs = add_command(
        commands, "runs", _runs, "list the runs: state, quality, pushed version", epilog=help_examples.RUNS
    )
    runs.add_argument("--sort", choices=_SORTED_BY, default="run", help="the column to sort by (default: %(default)s)")
    runs.add_argument("--reverse", action="store_true", help="the greatest first; what has no value comes last anyway")
    show = add_command(
        commands,
        "show",
        _show,
        "show one run: configuration, lineage, metrics per class, anomalies",
        epilog=help_examples.SHOW,
    )
    report = add_command(
        commands,
        "report",
        _report,
        "tell where the report of a run is, a page for the browser",
        epilog=help_examples.REPORT,
    )
    for command in (show, report):
        command.add_argument("run", nargs="?", metavar="RUN", help=_RUN)
    report.add_argument("--again", action="store_true", help="make it anew, as after an update of this program")
    compare = add_command(
        commands, "compare", _compare, "tell what differs between runs and what that did", epilog=help_examples.COMPARE
    )
    compare.add_argument(
        "runs", nargs="+", metavar="RUN", help="two ids or more; the others are held against the first"
    )
    compare.add_argument("--html", type=Path, metavar="FILE", help="write it as a page, too, with the learning curves")
    for command in (runs, show, report, compare):
        add_workspace(command)
        add_json(command)


def _runs(arguments: argparse.Namespace) -> int:
    from pipeline.cli import printing
    from pipeline.runs import results

    found = results.sort(results.read_runs(workspace_of(arguments)), arguments.sort, arguments.reverse)
    if arguments.json:
        return print_json([run.to_dict() for run in found])
    printing.print_runs(found)
    return 0


def _show(arguments: argparse.Namespace) -> int:
    from pipeline.cli import printing
    from pipeline.reports.details import examine
    from pipeline.runs.results import find_run

    workspace = workspace_of(arguments)
    details = examine(workspace, find_run(workspace, arguments.run))
    if arguments.json:
        return print_json(details)
    printing.print_run(details)
    return 0


def _report(arguments: argparse.Namespace) -> int:
    from pipeline.reports.run import document, facts
    from pipeline.runs import predictions as saved_predictions
    from pipeline.runs import results

    workspace = workspace_of(arguments)
    folder = results.find_run(workspace, arguments.run)
    if arguments.json:
        return print_json(facts.collect(workspace, folder, saved_predictions.load(folder.predictions)))
    made = folder.report.exists() and not arguments.again
    path = folder.report if made else document.write(workspace, folder)
    if path is None:
        raise UserError(f"run {folder.id} has nothing to report, no component has run; its log is {folder.log}")
    print(path)
    return 0


def _compare(arguments: argparse.Namespace) -> int:
    from pipeline.cli import printing
    from pipeline.reports.comparison import document, facts
    from pipeline.runs import results

    require(len(arguments.runs) > 1, "compare takes two runs or more, by their ids; `shiftvit runs` lists them")
    workspace = workspace_of(arguments)
    compared = facts.compare(workspace, [results.find_run(workspace, run) for run in arguments.runs])
    if arguments.html:
        _write(arguments.html, document.render(compared))
    if arguments.json:
        return print_json(compared)
    printing.print_comparison(compared)
    return 0


def _write(file: Path, page: str) -> None:
    try:
        atomic.write_file(file, page)
    except OSError as error:
        raise ConfigError(f"--html {file}: cannot be written ({error.strerror})") from error
