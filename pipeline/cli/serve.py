"""`shiftvit serve`: serves the newest pushed version over HTTP. Imports nothing heavy."""

import argparse
from typing import Any

from pipeline.cli.options import add_command, add_workspace, workspace_of
from shiftvit.config import require
from shiftvit.quiet import silence_libraries


def add(commands: Any) -> None:
    """Adds the command."""
    parser = add_command(commands, "serve", _serve, "serve the newest pushed version over HTTP")
    summary = "address to listen on; 0.0.0.0 for all networks, without authentication (default: %(default)s)"
    parser.add_argument("--host", metavar="NAME", default="127.0.0.1", help=summary)
    parser.add_argument(
        "--port", metavar="N", type=int, default=8501, help="port to listen on; 0 for a free one (default: %(default)s)"
    )
    summary = "let pages of this origin call the server, such as https://example.com; * for every page; may be repeated"
    parser.add_argument("--allow-origin", metavar="URL", action="append", default=[], help=summary)
    limits = parser.add_argument_group("limits of a request")
    _add_number(limits, "--max-body", "MB", 32, "maximum size of the body")
    _add_number(limits, "--max-images", "N", 128, "maximum number of images", int)
    _add_number(limits, "--timeout", "S", 30, "maximum seconds from its arrival to the answer")
    batches = parser.add_argument_group("batches")
    _add_number(batches, "--max-batch", "N", 64, "maximum number of images per batch", int)
    _add_number(batches, "--batch-wait", "MS", 0, "milliseconds an idle model waits for requests to join a batch")
    _add_number(parser, "--poll", "S", 1, "seconds between checks for a new version")
    add_workspace(parser)


def _add_number(parser: Any, option: str, metavar: str, default: int, summary: str, kind: type = float) -> None:
    parser.add_argument(option, metavar=metavar, type=kind, default=default, help=f"{summary} (default: %(default)g)")


def _serve(arguments: argparse.Namespace) -> int:
    for option in ("max_body", "max_images", "timeout", "max_batch", "poll"):
        value = getattr(arguments, option)
        require(0 < value < float("inf"), f"--{option.replace('_', '-')} {value:g} must be a positive number")
    require(
        0 <= arguments.batch_wait < float("inf"),
        f"--batch-wait {arguments.batch_wait:g} must be zero or a positive number",
    )
    silence_libraries()
    from pipeline.serving.cors import check_origin
    from pipeline.serving.routes import Limits
    from pipeline.serving.server import Settings, serve

    limits = Limits(int(arguments.max_body * 1e6), arguments.timeout, arguments.max_images)
    for origin in arguments.allow_origin:
        check_origin(origin)
    settings = Settings(
        arguments.host,
        arguments.port,
        limits,
        arguments.max_batch,
        arguments.batch_wait / 1e3,
        arguments.poll,
        arguments.allow_origin,
    )
    serve(workspace_of(arguments), settings)
    return 0
