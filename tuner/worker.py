"""A worker of a search: requests trials from KerasTuner's chief and runs each in its own process.

    python -m tuner.worker FOLDER

The search starts the workers of its own machine. To add another host, which must see FOLDER and the records, start a
worker there with the environment that KerasTuner documents: KERASTUNER_TUNER_ID (a unique name), and the chief's
KERASTUNER_ORACLE_IP and KERASTUNER_ORACLE_PORT. Start the chief, which is the search itself, with the same address and
KERASTUNER_TUNER_ID=chief.
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
from multiprocessing.context import ForkServerContext
from pathlib import Path

from shiftvit import proxies
from shiftvit.errors import UserError

CHIEF_VARIABLES = ("KERASTUNER_ORACLE_IP", "KERASTUNER_ORACLE_PORT")
ID_VARIABLE = "KERASTUNER_TUNER_ID"
DISK_FULL_STATUS = errno.ENOSPC  # exit status
_CONNECT_SECONDS = 15.0


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs trials until the chief has no more; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, metavar="FOLDER", help="folder of the search")
    parser.add_argument("--cores", type=int, nargs="*", help="cores to use (default: all)")
    parser.add_argument("--end-with-stdin", action="store_true", help="exit when standard input closes")
    options = parser.parse_args(arguments)
    missing = [name for name in (ID_VARIABLE, *CHIEF_VARIABLES) if not os.environ.get(name)]
    if missing:
        parser.error(f"{' and '.join(missing)} must be set; see --help")
    chief_host, chief_port = (os.environ[name] for name in CHIEF_VARIABLES)
    proxies.bypass([chief_host])
    if options.cores:
        os.sched_setaffinity(0, options.cores)
    if options.end_with_stdin:
        threading.Thread(target=_end_with_stdin, daemon=True).start()
        if not _answers(f"{chief_host}:{chief_port}"):
            print(f"tuner.worker: no answer from the search at {chief_host}:{chief_port}", file=sys.stderr)
            return 1
    logging.basicConfig(level=logging.INFO)
    context = _start_fork_server()
    # These imports load TensorFlow, while the fork server loads it too.
    from keras_tuner.errors import FatalError

    from tuner.process_tuner import ProcessTuner

    try:
        ProcessTuner(options.folder, context).search()
    except FatalError as error:
        print(f"tuner.worker: {error}", file=sys.stderr)
        return DISK_FULL_STATUS
    except UserError as error:
        print(f"tuner.worker: {error}", file=sys.stderr)
        return error.exit_code
    return 0


def _answers(address: str) -> bool:
    """Returns whether the chief answers within seconds; KerasTuner itself would wait for an hour."""
    import grpc

    with grpc.insecure_channel(address) as channel:
        try:
            grpc.channel_ready_future(channel).result(_CONNECT_SECONDS)
        except grpc.FutureTimeoutError:
            return False
    return True


def _end_with_stdin() -> None:
    while os.read(sys.stdin.fileno(), 1):
        pass
    os._exit(1)


def _start_fork_server() -> ForkServerContext:
    """Starts the process that trials are forked from: it has imported TensorFlow but not used it."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tuner.trial"])
    forkserver.ensure_running()
    return context


if __name__ == "__main__":
    sys.exit(main())
