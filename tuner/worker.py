"""A worker of a search: asks KerasTuner's chief for trials, and runs each in a process of its own.

    python -m tuner.worker FOLDER

The search starts those of its own machine. On another host, which must see FOLDER and the records, start it by hand,
with the environment that KerasTuner documents: KERASTUNER_TUNER_ID (a name of its own), KERASTUNER_ORACLE_IP and
KERASTUNER_ORACLE_PORT (of the chief, which is started with KERASTUNER_TUNER_ID=chief and the same two).
"""

import argparse
import errno
import logging
import multiprocessing
import os
import sys
import threading
from collections.abc import Sequence
from multiprocessing import forkserver
from pathlib import Path

from shiftvit.errors import UserError

CHIEF_VARIABLES = ("KERASTUNER_ORACLE_IP", "KERASTUNER_ORACLE_PORT")
ID_VARIABLE = "KERASTUNER_TUNER_ID"
NO_ROOM = errno.ENOSPC  # the exit status where the disk is full


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs trials until the chief has no more."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, metavar="FOLDER", help="folder of the search")
    parser.add_argument("--cores", type=int, nargs="*", help="the cores to use (default: all)")
    parser.add_argument("--end-with-stdin", action="store_true", help="end when standard input does")
    options = parser.parse_args(arguments)
    missing = [name for name in (ID_VARIABLE, *CHIEF_VARIABLES) if name not in os.environ]
    if missing:
        parser.error(f"{' and '.join(missing)} must be set; see --help")
    if options.cores:
        os.sched_setaffinity(0, options.cores)
    if options.end_with_stdin:
        threading.Thread(target=_end_with_stdin, daemon=True).start()
    logging.basicConfig(level=logging.INFO)
    start_trials = _preload()
    # These import TensorFlow; meanwhile, so does the server of the trials.
    from keras_tuner.errors import FatalError

    from tuner.client import Worker

    try:
        Worker(options.folder, start_trials).search()
    except FatalError as error:
        print(f"tuner.worker: {error}", file=sys.stderr)
        return NO_ROOM
    except UserError as error:
        print(f"tuner.worker: {error}", file=sys.stderr)
        return error.exit_code
    return 0


def _end_with_stdin() -> None:
    while os.read(sys.stdin.fileno(), 1):
        pass
    os._exit(1)


def _preload() -> multiprocessing.context.BaseContext:
    """Returns the context to start trials in: forks of one process that has imported TensorFlow and not used it."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tuner.trial"])
    forkserver.ensure_running()
    return context


if __name__ == "__main__":
    sys.exit(main())
