"""`shiftvit`: parses all commands, and turns their errors into sentences and exit codes.

Exit codes: 0 done; 1 failed; 2 wrong usage or configuration; 3 bad data; 4 the model was not blessed; 130 interrupted.
"""

import argparse
import os
import sys
from collections.abc import Sequence
from typing import Any

from pipeline.cli import bench, completion, data, kubeflow, models, past_runs, run, serve, train
from pipeline.cli.epilogs import EPILOGS
from pipeline.cli.output import fail
from pipeline.cli.parser import Parser
from shiftvit import proxies
from shiftvit.errors import UserError

DISTRIBUTION = "shiftvit-pipeline"


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command line and returns the exit code."""
    try:
        proxies.bypass()
        parser = make_parser()
        completion.answer(parser)
        arguments = parser.parse_args(argv)
        exit_code = arguments.command(arguments)
        sys.stdout.flush()
        return exit_code
    except UserError as error:
        return fail(str(error), error.exit_code)
    except KeyboardInterrupt:
        return fail("interrupted", 130)
    except BrokenPipeError:  # the reader of our output closed the pipe; no error, so keep Python from printing one
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


def make_parser() -> Parser:
    """Returns the parser; the parsed arguments have the command's function as `command`."""
    parser = Parser(
        prog="shiftvit",
        description="Train, evaluate, push and serve ShiftViT image classifiers.",
        epilog=EPILOGS["shiftvit"],
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action=_ShowVersion, nargs=0, help="print the version and exit")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for group in (run, train, data, past_runs, models, serve, bench, kubeflow, completion):
        group.add(commands)
    return parser


class _ShowVersion(argparse.Action):
    def __call__(self, parser: argparse.ArgumentParser, *_: Any, **__: Any) -> None:
        import importlib.metadata

        print(f"shiftvit {importlib.metadata.version(DISTRIBUTION)}")
        parser.exit()


if __name__ == "__main__":
    sys.exit(main())
