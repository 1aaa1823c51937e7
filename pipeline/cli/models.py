"""`shiftvit versions`, `rollback` and `predict`: the pushed models. Imports nothing heavy."""

import argparse
import dataclasses
from pathlib import Path
from typing import Any

from pipeline.cli import help_examples
from pipeline.cli.options import add_command, add_json, add_wait, add_workspace, workspace_of
from pipeline.cli.output import print_json
from shiftvit.quiet import hush_libraries


def add(commands: Any) -> None:
    """Adds the commands."""
    versions = add_command(
        commands,
        "versions",
        _versions,
        "list the pushed versions, and which one is served",
        epilog=help_examples.VERSIONS,
    )
    predict = add_command(
        commands, "predict", _predict, "ask a pushed model what images show", epilog=help_examples.PREDICT
    )
    predict.add_argument("images", nargs="+", type=Path, metavar="IMAGE", help="a PNG or JPEG file of any size")
    predict.add_argument("--version", type=int, metavar="N", help="the pushed version to ask (default: the newest)")
    rollback = add_command(
        commands, "rollback", _rollback, "serve an earlier version again", epilog=help_examples.ROLLBACK
    )
    rollback.add_argument("version", type=int, metavar="N", help="the version, as `shiftvit versions` lists it")
    add_wait(rollback)
    for command in (versions, predict, rollback):
        add_workspace(command)
        add_json(command)


def _versions(arguments: argparse.Namespace) -> int:
    from pipeline.cli import printing
    from pipeline.runs import versions

    found = versions.list_versions(workspace_of(arguments))
    if arguments.json:
        return print_json([{**dataclasses.asdict(v), "folder": str(v.folder)} for v in found])
    printing.print_versions(found)
    return 0


def _rollback(arguments: argparse.Namespace) -> int:
    from pipeline.runs import versions
    from pipeline.runs.workspace_lock import writing

    workspace = workspace_of(arguments)
    versions.find_model(workspace, arguments.version)  # fails before the lock creates a workspace
    with writing(workspace, arguments.wait) as hold:
        hold.sign("a rollback")
        made = versions.rollback(workspace, arguments.version)
    served = made or versions.served_as(workspace, arguments.version)
    if arguments.json:
        return print_json({"version": served, "same_as": arguments.version, "new": made is not None})
    print(
        f"Version {made} is served now: a copy of version {arguments.version}."
        if made is not None
        else f"Version {served} is served already, and is that model."
    )
    return 0


def _predict(arguments: argparse.Namespace) -> int:
    from pipeline.runs import versions
    from pipeline.serving import predict

    model = versions.find(workspace_of(arguments), arguments.version)
    hush_libraries()
    predictions = predict.predict(model, arguments.images)
    if arguments.json:
        return print_json(
            [{**dataclasses.asdict(p), "path": str(p.path), "version": int(model.name)} for p in predictions]
        )
    for p in predictions:
        top3 = ", ".join(f"{name} {probability:.1%}" for name, probability in p.top3)
        print(f"{p.path}\t{p.class_name}\t{p.probability:.1%}\t({top3})")
    return 0
