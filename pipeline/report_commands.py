"""`shiftvit runs`, `report` and `compare`: what was tried in a workspace. Imports nothing heavy."""

import argparse
import json
from pathlib import Path

from pipeline import examples
from pipeline.options import add_command
from pipeline.workspace import Workspace
from shiftvit import whole
from shiftvit.config import require
from shiftvit.errors import ConfigError, UserError

_RUN = "the run's id, as `shiftvit runs` lists it; the latest where left out"
_SORTED_BY = ("run", "preset", "source", "state", "top-1", "top-5", "version", "time")


def add(commands) -> list[argparse.ArgumentParser]:
    """Adds the commands and returns their parsers, for the options that they share with others."""
    runs = add_command(commands, "runs", _runs, "list the runs: state, quality, pushed version", epilog=examples.RUNS)
    runs.add_argument("--sort", choices=_SORTED_BY, default="run", help="the column to sort by (default: %(default)s)")
    runs.add_argument("--reverse", action="store_true", help="the greatest first; what has no value comes last anyway")
    report = add_command(
        commands, "report", _report, "tell where the report of a run is, a page for the browser", epilog=examples.REPORT
    )
    report.add_argument("run", nargs="?", metavar="RUN", help=_RUN)
    report.add_argument("--again", action="store_true", help="make it anew, as after an update of this program")
    compare = add_command(
        commands, "compare", _compare, "tell what differs between runs and what that did", epilog=examples.COMPARE
    )
    compare.add_argument(
        "runs", nargs="+", metavar="RUN", help="two ids or more; the others are held against the first"
    )
    compare.add_argument("--html", type=Path, metavar="FILE", help="write it as a page, too, with the learning curves")
    return [runs, report, compare]


def _runs(arguments: argparse.Namespace) -> int:
    from pipeline import pages, report

    found = report.sort(report.read_runs(_workspace(arguments)), arguments.sort, arguments.reverse)
    if arguments.json:
        return _print_json([run.to_dict() for run in found])
    pages.print_runs(found)
    return 0


def _report(arguments: argparse.Namespace) -> int:
    from pipeline import evidence, report
    from pipeline.run_report import document, facts

    workspace = _workspace(arguments)
    folder = report.find_run(workspace, arguments.run)
    if arguments.json:
        return _print_json(facts.collect(workspace, folder, evidence.load(folder.evidence)))
    made = folder.report.exists() and not arguments.again
    path = folder.report if made else document.write(workspace, folder)
    if path is None:
        raise UserError(f"run {folder.id} has nothing to report, no component has run; its log is {folder.log}")
    print(path)
    return 0


def _compare(arguments: argparse.Namespace) -> int:
    from pipeline import pages, report
    from pipeline.comparison import document, facts

    require(len(arguments.runs) > 1, "compare takes two runs or more, by their ids; `shiftvit runs` lists them")
    workspace = _workspace(arguments)
    compared = facts.compare(workspace, [report.find_run(workspace, run) for run in arguments.runs])
    if arguments.html:
        _write(arguments.html, document.render(compared))
    if arguments.json:
        return _print_json(compared)
    pages.print_comparison(compared)
    return 0


def _write(file: Path, page: str) -> None:
    try:
        whole.write_file(file, page)
    except OSError as error:
        raise ConfigError(f"--html {file}: cannot be written ({error.strerror})") from error


def _workspace(arguments: argparse.Namespace) -> Workspace:
    return Workspace(Path(arguments.workspace))


def _print_json(value) -> int:
    print(json.dumps(value, indent=2))
    return 0
