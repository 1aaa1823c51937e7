"""Prepares the data and runs the graph, in the child process that `launch` starts and watches."""

import argparse
import json
import logging
import os
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from absl import logging as absl_logging

from pipeline.config import config_file
from pipeline.runners import preflight
from pipeline.runs.events import COMPLETE, FAILED, SOURCE, Events, ProgressHandler
from pipeline.runs.workspace import RunFolder
from pipeline.sources.prepare import prepare
from shiftvit import progress
from shiftvit.errors import UserError
from shiftvit.features import TRAIN
from shiftvit.files import disk
from shiftvit.train import check_initial_weights


def run(folder: RunFolder, events: Events, search_only: bool) -> int:
    """Runs the pipeline with the configuration in `folder`, or only up to the search; returns the exit code.

    Raises:
        UserError: when the run fails for a reason that one sentence explains.
    """
    config = config_file.load(folder.config)
    preflight.check(config)
    if config.tune.trials:  # trials run in other processes and need the GPU memory that this one would take
        os.environ.setdefault("TF_FORCE_GPU_ALLOW_GROWTH", "true")
    preflight.check_machine(config, config.experiment)
    events.plan([SOURCE])
    events.start(SOURCE)
    source = prepare(config)
    experiment = preflight.check_data(config, source.identity, source.identity.counts[TRAIN])
    preflight.check_machine(config, experiment)  # once more, with what is now known
    if config.train.initial_weights:
        for sentence in check_initial_weights(experiment.model, config.train.initial_weights):
            events.note(f"{config.train.initial_weights}: {sentence}")
    from pipeline.runners.local import runner  # imports TFX, which takes much longer than finding bad data

    events.end(COMPLETE)
    return runner.run(config, source, folder, events, search_only)


def explain(error: Exception, folder: RunFolder, node: str | None) -> UserError | None:
    """Returns the error to show the user, or None if no sentence explains it and the traceback is needed.

    Args:
        error: the exception that ended the run. The cause may be deeper in its chain: TFX raises another exception if
            it cannot record a failed component in ML Metadata, as on a full disk.
        folder: of the run.
        node: the running node, if any.
    """
    for cause in disk.exception_chain(error):
        if isinstance(cause, UserError):
            return cause
    if disk.is_full(error):
        workspace = config_file.load(folder.config).workspace
        place = disk.fullest(workspace, tempfile.gettempdir())
        return disk.full_error(place, f"{node or 'the run'} ran out of space")
    return None


def _is_news(record: logging.LogRecord) -> bool:
    """Tells whether to log a record: not TFX's line, at every step, that ML Metadata 1.21 has no filter queries."""
    return not record.getMessage().startswith("Fallback to non-ZetaSQL")


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one run; a failure is sent as an event, and its traceback goes to the log."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--run-dir", type=Path, required=True, help="folder of the run, which holds its configuration")
    parser.add_argument("--events-fd", type=int, required=True, help="descriptor for events, one JSON object a line")
    parser.add_argument("--search-only", action="store_true", help="stop after the search")
    options = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO)
    absl_logging.set_verbosity(absl_logging.INFO)
    absl_logging.get_absl_logger().addFilter(_is_news)
    folder = RunFolder(options.run_dir)
    with os.fdopen(options.events_fd, "w", buffering=1, encoding="utf-8") as pipe:
        events = Events(lambda event: print(json.dumps(event), file=pipe))
        progress.LOGGER.addHandler(ProgressHandler(events.send))
        try:
            return run(folder, events, options.search_only)
        except Exception as error:
            explained = explain(error, folder, events.running)
            if explained is None:
                raise
            logging.exception("the run failed")
            events.fail(str(explained), explained.exit_code)
            return explained.exit_code
        finally:
            if events.running:
                events.end(FAILED)


if __name__ == "__main__":
    sys.exit(main())
