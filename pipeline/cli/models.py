"""`shiftvit versions`, `rollback` and `predict`: the pushed models. Imports nothing heavy."""

import argparse
import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from charts.formats import percent
from pipeline.cli.options import add_command, add_json, add_wait, add_workspace, workspace_of
from pipeline.cli.output import print_json, print_table
from shiftvit.metrics import TITLES, TOP1
from shiftvit.quiet import silence_libraries

if TYPE_CHECKING:
    from pipeline.runs.versions import Version


def add(commands: Any) -> None:
    """Adds the commands."""
    versions = add_command(commands, "versions", _versions, "list the pushed versions, and which one is served")
    predict = add_command(commands, "predict", _predict, "classify images with a pushed model")
    summary = "a PNG, JPEG, WebP, GIF or BMP file; - reads one from the standard input"
    predict.add_argument("images", nargs="+", type=_image, metavar="IMAGE", help=summary)
    predict.add_argument("--version", type=int, metavar="N", help="the pushed version to use (default: the newest)")
    rollback = add_command(commands, "rollback", _rollback, "serve an earlier version again")
    rollback.add_argument("version", type=int, metavar="N", help="the version, as `shiftvit versions` lists it")
    add_wait(rollback)
    for command in (versions, predict, rollback):
        add_workspace(command)
        add_json(command)


def _image(text: str) -> Path:
    from shiftvit.image_files import STANDARD_INPUT

    path = Path(text)
    # A path drops a leading "./", which says that a file of this name is meant.
    return path.absolute() if path == STANDARD_INPUT and text != str(STANDARD_INPUT) else path


def _versions(arguments: argparse.Namespace) -> int:
    from pipeline.runs.versions import list_versions

    versions = list_versions(workspace_of(arguments))
    if arguments.json:
        return print_json([{**dataclasses.asdict(v), "folder": str(v.folder)} for v in versions])
    _print_versions(versions)
    return 0


def _print_versions(versions: "Sequence[Version]") -> None:
    if not versions:
        print("No version was pushed yet; train and push one with `shiftvit run`.")
        return
    rows = (
        (
            str(v.number),
            "served" if v.served else "",
            percent(v.top1),
            v.run or "unknown",
            f"rollback of {v.rollback_of}" if v.rollback_of else "",
            str(v.folder),
        )
        for v in versions
    )
    print_table(("version", "", TITLES[TOP1], "run", "", "folder"), rows)


def _rollback(arguments: argparse.Namespace) -> int:
    from pipeline.runs import versions, workspace_lock

    workspace = workspace_of(arguments)
    versions.find_model(workspace, arguments.version)  # raises before the lock creates a workspace
    with workspace_lock.acquire(workspace, arguments.wait) as lock:
        lock.set_owner("a rollback")
        copied = versions.rollback(workspace, arguments.version)
    served = copied or versions.served_as(workspace, arguments.version)
    if arguments.json:
        return print_json({"version": served, "same_as": arguments.version, "new": copied is not None})
    print(
        f"Version {copied} is served now: a copy of version {arguments.version}."
        if copied is not None
        else f"Version {served}, which is served already, is that model."
    )
    return 0


def _predict(arguments: argparse.Namespace) -> int:
    from pipeline.runs import versions
    from pipeline.serving import predict

    model = versions.find(workspace_of(arguments), arguments.version)
    silence_libraries()
    predictions = predict.predict(model, arguments.images)
    if arguments.json:
        return print_json(
            [{**dataclasses.asdict(p), "path": str(p.path), "version": int(model.name)} for p in predictions]
        )
    for p in predictions:
        top3 = ", ".join(f"{name} {percent(probability)}" for name, probability in p.top3)
        print(f"{p.path}\t{p.class_name}\t{percent(p.probability)}\t({top3})")
    return 0
