"""`shiftvit clean`: what a workspace no longer needs. Imports nothing heavy."""

import argparse
from typing import Any

from pipeline.cli.options import add_command, add_json, add_wait, add_workspace, workspace_of
from pipeline.cli.output import print_json, print_table
from shiftvit.errors import UserError


def add(commands: Any) -> None:
    """Adds the command."""
    clean = add_command(commands, "clean", _clean, "show what the workspace no longer needs, and remove it with --yes")
    clean.add_argument("--yes", action="store_true", help="remove it")
    add_wait(clean)
    add_workspace(clean)
    add_json(clean)


def _clean(arguments: argparse.Namespace) -> int:
    from pipeline.runs import cleaning, workspace_lock

    workspace = workspace_of(arguments)
    leftovers = []
    if workspace.root.is_dir():  # the lock would create it
        with workspace_lock.acquire(workspace, arguments.wait) as lock:
            lock.set_owner("a cleaning")
            leftovers = cleaning.find(workspace)
            if arguments.yes:
                leftovers = [each for each in leftovers if _remove(each)]
    total = sum(each.bytes for each in leftovers)
    if arguments.json:
        rows = [{"path": str(each.path), "what": each.what, "bytes": each.bytes} for each in leftovers]
        return print_json({"removed": arguments.yes, "bytes": total, "leftovers": rows})
    if not leftovers:
        print(f"{workspace.root}: nothing can go.")
        return 0
    print_table(("size", "what", "path"), ((_size(each.bytes), each.what, str(each.path)) for each in leftovers))
    print(f"{_size(total)} removed." if arguments.yes else f"{_size(total)} can go; remove it with --yes.")
    return 0


def _remove(leftover: Any) -> bool:
    try:
        return leftover.remove()
    except OSError as error:
        raise UserError(f"{leftover.path}: cannot be removed ({error.strerror or error})") from error


def _size(count: int) -> str:
    return f"{count / 1e6:,.1f} MB"
