"""`shiftvit`: the parser of all commands, and the one place where their errors become sentences and exit codes.

Exit codes: 0 done; 1 the run failed; 2 wrong usage or configuration; 3 bad data; 4 the model was not blessed; 130
interrupted.
"""

import argparse
import os
import sys
from collections.abc import Sequence

from pipeline.cli import bench, completion, help_examples, kubeflow, models, reports, run, serve, train
from pipeline.cli.output import fail
from pipeline.cli.parser import Parser
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
        return fail(str(error), error.exit_code)
    except KeyboardInterrupt:
        return fail("interrupted", 130)
    except BrokenPipeError:  # the reader of our output has closed the pipe
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


def make_parser() -> Parser:
    """Returns the parser; each subcommand's function is `command` of its arguments."""
    parser = Parser(
        prog="shiftvit",
        description="Train, check, push and use ShiftViT image classifiers.",
        epilog=help_examples.SHIFTVIT,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action=_ShowVersion, nargs=0, help="print the version and exit")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for group in (run, train, reports, models, serve, bench, kubeflow, completion):
        group.add(commands)
    return parser


class _ShowVersion(argparse.Action):
    def __call__(self, parser, *_):
        import importlib.metadata

        print(f"shiftvit {importlib.metadata.version(DISTRIBUTION)}")
        parser.exit()


if __name__ == "__main__":
    sys.exit(main())
