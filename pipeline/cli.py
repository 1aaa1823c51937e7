"""`shiftvit`: starts runs, and tells what came of them. Imports nothing heavy, so that it answers at once.

Exit codes: 0 done; 1 the run failed; 2 wrong usage or configuration; 3 bad data; 4 the model was not blessed; 130
interrupted.
"""

import argparse
import dataclasses
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pipeline import bench, completion, examples, report_commands, train
from pipeline.config import PipelineConfig
from pipeline.kubeflow import commands as kubeflow
from pipeline.options import DEFAULT_WORKSPACE, add_command, add_configuration, add_overrides, resolve
from pipeline.parser import Parser
from pipeline.quiet import hush_libraries
from pipeline.serve import command as serve
from pipeline.workspace import Workspace
from shiftvit.config import require
from shiftvit.errors import UserError

DISTRIBUTION = "shiftvit-pipeline"


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command line and returns the exit code."""
    try:
        parser = make_parser()
        completion.answer(parser)
        arguments = parser.parse_args(argv)
        exit_code = arguments.command(arguments)
        sys.stdout.flush()
        return exit_code
    except UserError as error:
        return _fail(str(error), error.exit_code)
    except KeyboardInterrupt:
        return _fail("interrupted", 130)
    except BrokenPipeError:  # whoever read our output has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


def make_parser() -> Parser:
    """Returns the parser; each subcommand's function is `command` of its arguments."""
    parser = Parser(
        prog="shiftvit",
        description="Train, check, push and use ShiftViT image classifiers.",
        epilog=examples.SHIFTVIT,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action=_ShowVersion, nargs=0, help="print the version and exit")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)

    run = add_command(
        commands, "run", _run, "train a model on a data source and push it, if it is good enough", epilog=examples.RUN
    )
    tune = add_command(
        commands, "tune", _tune, "search hyperparameters, for a later run to train with", epilog=examples.TUNE
    )
    data = add_command(commands, "data", _data, "fetch or check a data source without training", epilog=examples.DATA)
    for command in (run, tune, data):
        add_configuration(command)

    training = add_command(
        commands, "train", train.run, "train on ingested records, alone or with other workers", epilog=train.EPILOG
    )
    train.add_options(training)
    listing = report_commands.add(commands)
    show = add_command(
        commands,
        "show",
        _show,
        "show one run: configuration, lineage, metrics per class, anomalies",
        epilog=examples.SHOW,
    )
    show.add_argument(
        "run", nargs="?", metavar="RUN", help="the run's id, as `shiftvit runs` lists it; the latest where left out"
    )
    versions = add_command(
        commands, "versions", _versions, "list the pushed versions, and which one is served", epilog=examples.VERSIONS
    )
    predict = add_command(commands, "predict", _predict, "ask a pushed model what images show", epilog=examples.PREDICT)
    predict.add_argument("images", nargs="+", type=Path, metavar="IMAGE", help="a PNG or JPEG file of any size")
    predict.add_argument("--version", type=int, metavar="N", help="the pushed version to ask (default: the newest)")
    serving = serve.add(commands)
    rollback = add_command(commands, "rollback", _rollback, "serve an earlier version again", epilog=examples.ROLLBACK)
    rollback.add_argument("version", type=int, metavar="N", help="the version, as `shiftvit versions` lists it")
    measure = add_command(
        commands, "bench", bench.run, "measure speed, each figure beside its limit", epilog=examples.BENCH
    )
    bench.add_options(measure)
    add_overrides(measure)
    kubeflow.add(commands)
    completion.add(commands)
    for command in (*listing, show, versions, predict, serving, rollback):
        command.add_argument(
            "--workspace",
            metavar="DIR",
            default=DEFAULT_WORKSPACE,
            help="folder that holds everything (default: %(default)s)",
        )
    for command in (run, tune, rollback):
        command.add_argument("--wait", action="store_true", help="wait while another one writes in the workspace")
    for command in (run, tune, data, *listing, show, versions, predict, rollback, measure):
        command.add_argument("--json", action="store_true", help="print JSON instead of text")
    return parser


class _ShowVersion(argparse.Action):
    def __call__(self, parser, *_):
        import importlib.metadata

        print(f"shiftvit {importlib.metadata.version(DISTRIBUTION)}")
        parser.exit()


def _run(arguments: argparse.Namespace) -> int:
    train.refuse_cluster("run")
    config = resolve(arguments)
    exit_code, result = _execute(config, arguments)
    if exit_code == 0 and not arguments.json:
        _warn_if_another_is_served(Workspace(Path(config.workspace)), result)
    return exit_code


def _tune(arguments: argparse.Namespace) -> int:
    train.refuse_cluster("tune")
    config = resolve(arguments)
    require(
        config.tune.trials > 0,
        "tune.trials=0 leaves the search out; set it to how many settings are to be tried, as in --set tune.trials=12",
    )
    exit_code, _ = _execute(config, arguments, "--search-only")
    return exit_code


def _execute(config: PipelineConfig, arguments: argparse.Namespace, *options: str) -> tuple[int, dict[str, Any] | None]:
    """Runs the graph in a process of its own and tells what came of it; returns the exit code and the result."""
    from pipeline import run
    from pipeline.report import conclusion
    from pipeline.run_report.document import attempt
    from pipeline.terminal import make_display
    from pipeline.writer import writing

    workspace = Workspace(Path(config.workspace))
    with writing(workspace, arguments.wait) as hold:
        folder = run.create(config)
        hold.sign(f"run {folder.id}")
        with make_display() as display:
            outcome = run.execute(folder, display.show, [*run.CHILD, *options], hold.descriptor)
        told = attempt(workspace, folder)
    if arguments.json:
        _print_json({"run": folder.id, **dataclasses.asdict(outcome)})
    elif outcome.exit_code == run.DONE:
        print(conclusion(outcome.result))
    if outcome.exit_code != run.DONE:
        _fail(outcome.message or conclusion(outcome.result), outcome.exit_code)
    if told and not arguments.json:
        print(told)
    return outcome.exit_code, outcome.result


def _warn_if_another_is_served(workspace: Workspace, result: dict[str, Any]) -> None:
    """A run that finds its model pushed before does not undo a rollback."""
    from components import serving
    from pipeline import versions

    version = int(result["pushed_version"])
    numbers = serving.numbers(workspace.serving)
    if version in numbers and versions.served_as(workspace, version) is None:
        print(f"Version {numbers[0]} is served instead of it; `shiftvit rollback {version}` changes that.")


def _data(arguments: argparse.Namespace) -> int:
    from pipeline.events import COMPLETE, SOURCE, Events
    from pipeline.terminal import ProgressHandler, make_display
    from shiftvit.progress import LOGGER

    config = resolve(arguments)
    hush_libraries()
    with make_display() as display:
        handler = ProgressHandler(display.show)
        LOGGER.addHandler(handler)
        try:
            events = Events(display.show)
            events.start(SOURCE)
            from pipeline.sources import prepare

            source = prepare(config)
            events.end(COMPLETE)
        finally:
            LOGGER.removeHandler(handler)
    if arguments.json:
        return _print_json({**dataclasses.asdict(source), "folder": str(source.folder)})
    facts = {
        "kind": source.kind,
        "location": source.location,
        "sha256": f"{source.sha256} ({'as published' if source.published else 'not a published checksum'})",
        "images": ", ".join(f"{split} {count:,}" for split, count in source.counts.items()),
        "classes": ", ".join(source.class_names),
        "prepared in": str(source.folder),
    }
    for name, value in facts.items():
        print(f"{name:<12} {value}")
    return 0


def _show(arguments: argparse.Namespace) -> int:
    from pipeline import pages, report

    workspace = _workspace(arguments)
    details = report.examine(workspace, report.find_run(workspace, arguments.run))
    if arguments.json:
        return _print_json(details)
    pages.print_run(details)
    return 0


def _versions(arguments: argparse.Namespace) -> int:
    from pipeline import pages, versions

    found = versions.list_versions(_workspace(arguments))
    if arguments.json:
        return _print_json([{**dataclasses.asdict(v), "folder": str(v.folder)} for v in found])
    pages.print_versions(found)
    return 0


def _rollback(arguments: argparse.Namespace) -> int:
    from pipeline import versions
    from pipeline.writer import writing

    workspace = _workspace(arguments)
    versions.find_model(workspace, arguments.version)  # before anything is made where there is nothing
    with writing(workspace, arguments.wait) as hold:
        hold.sign("a rollback")
        made = versions.rollback(workspace, arguments.version)
    served = made or versions.served_as(workspace, arguments.version)
    if arguments.json:
        return _print_json({"version": served, "same_as": arguments.version, "new": made is not None})
    print(
        f"Version {made} is served now: a copy of version {arguments.version}."
        if made is not None
        else f"Version {served} is served already, and is that model."
    )
    return 0


def _predict(arguments: argparse.Namespace) -> int:
    from pipeline import predict, versions

    model = versions.find(_workspace(arguments), arguments.version)
    hush_libraries()
    predictions = predict.predict(model, arguments.images)
    if arguments.json:
        return _print_json(
            [{**dataclasses.asdict(p), "path": str(p.path), "version": int(model.name)} for p in predictions]
        )
    for p in predictions:
        top3 = ", ".join(f"{name} {probability:.1%}" for name, probability in p.top3)
        print(f"{p.path}\t{p.class_name}\t{p.probability:.1%}\t({top3})")
    return 0


def _workspace(arguments: argparse.Namespace) -> Workspace:
    return Workspace(Path(arguments.workspace))


def _print_json(value: Any) -> int:
    print(json.dumps(value, indent=2))
    return 0


def _fail(sentence: str, exit_code: int) -> int:
    sys.stdout.flush()
    print(f"shiftvit: {sentence}", file=sys.stderr)
    return exit_code


if __name__ == "__main__":
    sys.exit(main())
