"""`shiftvit`: parses all commands, and turns their errors into sentences and exit codes, and signals into interrupts.

Exit codes: 0 done; 1 failed; 2 wrong usage or configuration; 3 bad data; 4 the model was not blessed; 130 interrupted.
"""

import argparse
import signal
import sys
from collections.abc import Callable, Sequence
from typing import Any

from pipeline.cli import bench, clean, completion, crash, data, kubeflow, models, past_runs, run, serve, train
from pipeline.cli.epilogs import EPILOGS
from pipeline.cli.output import fail
from pipeline.cli.parser import Parser
from shiftvit import interrupts, proxies, streams, surroundings
from shiftvit.errors import UserError

DISTRIBUTION = "shiftvit-pipeline"


def program() -> int:
    """Runs the command line in this process, whatever its surroundings, and returns the exit code."""
    streams.repair()
    try:
        exit_code = main(before=surroundings.prepare)
    except SystemExit as end:  # --help
        exit_code = int(end.code or 0)
    failure = streams.describe_failure()
    if failure:
        exit_code = fail(failure, max(exit_code, UserError.exit_code))
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # nothing to clean up any more
    return exit_code


def main(argv: Sequence[str] | None = None, before: Callable[[], None] = lambda: None) -> int:
    """Runs the command line and returns the exit code.

    Args:
        argv: the arguments; by default those of this process.
        before: is called first; its errors are handled like those of a command.
    """
    with interrupts.once():
        try:
            before()
            proxies.bypass()
            parser = make_parser()
            completion.answer(parser)
            arguments = parser.parse_args(argv)
            return arguments.command(arguments)
        except UserError as error:
            return fail(str(error), error.exit_code)
        except KeyboardInterrupt:
            return fail("interrupted", interrupts.EXIT_CODE)
        except Exception as error:
            if crash.is_debugging(argv):
                raise
            return fail(crash.describe(error), UserError.exit_code)


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
    for group in (run, train, data, past_runs, models, clean, serve, bench, kubeflow, completion):
        group.add(commands)
    return parser


class _ShowVersion(argparse.Action):
    def __call__(self, parser: argparse.ArgumentParser, *_: Any, **__: Any) -> None:
        import importlib.metadata

        print(f"shiftvit {importlib.metadata.version(DISTRIBUTION)}")
        parser.exit()


if __name__ == "__main__":
    sys.exit(program())
