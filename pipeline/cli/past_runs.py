"""`shiftvit runs`, `show`, `report` and `compare`: the runs of a workspace. Imports nothing heavy."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.cli import run_table
from pipeline.cli.options import add_command, add_json, add_workspace, workspace_of
from pipeline.cli.output import print_json, print_table
from shiftvit.config import require
from shiftvit.errors import UserError
from shiftvit.files import atomic, disk

if TYPE_CHECKING:
    from pipeline.reports.comparison.compare import Comparison


def add(commands: Any) -> None:
    """Adds the commands."""
    runs = add_command(commands, "runs", _runs, "list the runs with their state, quality and pushed version")
    runs.add_argument(
        "--sort", choices=run_table.SORTABLE, default="run", help="the column to sort by (default: %(default)s)"
    )
    runs.add_argument("--reverse", action="store_true", help="sort in descending order")
    show = add_command(commands, "show", _show, "print the configuration, lineage, metrics and anomalies of a run")
    report = add_command(commands, "report", _report, "print the path of a run's report, an HTML page")
    for command in (show, report):
        command.add_argument(
            "run", nargs="?", metavar="RUN", help="id of the run, as `shiftvit runs` lists it (default: the latest)"
        )
    report.add_argument("--again", action="store_true", help="write the report again, as after an update of shiftvit")
    compare = add_command(commands, "compare", _compare, "compare the settings and the quality of runs")
    compare.add_argument(
        "runs", nargs="+", metavar="RUN", help="ids of two or more runs; the first is what the others are compared with"
    )
    compare.add_argument("--html", type=Path, metavar="FILE", help="write an HTML page too, with learning curves")
    for command in (runs, show, report, compare):
        add_workspace(command)
        add_json(command)


def _runs(arguments: argparse.Namespace) -> int:
    from pipeline.runs.run import read_runs

    runs = run_table.sort(read_runs(workspace_of(arguments)), arguments.sort, arguments.reverse)
    if arguments.json:
        return print_json([run.to_dict() for run in runs])
    run_table.print_runs(runs)
    return 0


def _show(arguments: argparse.Namespace) -> int:
    from pipeline.cli import run_page
    from pipeline.reports.details import read_details
    from pipeline.runs.run import find_run

    workspace = workspace_of(arguments)
    details = read_details(workspace, find_run(workspace, arguments.run))
    if arguments.json:
        return print_json(details.to_dict())
    run_page.print_run(details)
    return 0


def _report(arguments: argparse.Namespace) -> int:
    from pipeline.reports.run import document
    from pipeline.reports.run.contents import read_contents
    from pipeline.runs.run import find_run

    workspace = workspace_of(arguments)
    folder = find_run(workspace, arguments.run)
    if arguments.json:
        return print_json(read_contents(workspace, folder).to_dict())
    exists = folder.report.exists() and not arguments.again
    path = folder.report if exists else document.write(workspace, folder)
    if path is None:
        raise UserError(
            f"run {folder.id} has nothing to report, because no component has run; see its log {folder.log}"
        )
    print(path)
    return 0


def _compare(arguments: argparse.Namespace) -> int:
    from pipeline.reports.comparison import document
    from pipeline.reports.comparison.compare import compare
    from pipeline.runs.run import find_run

    require(len(arguments.runs) > 1, "compare needs the ids of two or more runs; `shiftvit runs` lists them")
    workspace = workspace_of(arguments)
    comparison = compare(workspace, [find_run(workspace, run_id) for run_id in arguments.runs])
    if arguments.html:
        with disk.explain_write_errors(f"--html {arguments.html}"):
            atomic.write_file(arguments.html, document.render(comparison))
    if arguments.json:
        return print_json(comparison.to_dict())
    _print_comparison(comparison)
    return 0


def _print_comparison(comparison: "Comparison") -> None:
    from pipeline.cli.run_page import write_setting

    ids = [run.folder.id for run in comparison.runs]
    if comparison.settings:
        rows = ((name, *map(write_setting, values)) for name, values in comparison.settings.items())
        print_table(("setting", *ids), rows)
        print()
    print_table(("on the test split", *ids), ((title, *values) for title, values in comparison.quality().items()))
    print("", *comparison.sentences(), sep="\n")
