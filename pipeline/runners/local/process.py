"""The process of a run, which the command line starts and watches: prepares the data, then runs the graph."""

import argparse
import json
import logging
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from absl import logging as absl_logging

from pipeline.config import config_file
from pipeline.runners import beam
from pipeline.runs.events import COMPLETE, FAILED, SOURCE, Events, ProgressHandler
from pipeline.runs.workspace import RunFolder
from pipeline.sources.prepare import prepare
from shiftvit import progress
from shiftvit.errors import UserError
from shiftvit.files import disk
from shiftvit.strategy import make_strategy
from shiftvit.train import try_initial_weights


def run(folder: RunFolder, events: Events, search_only: bool) -> int:
    """Runs the pipeline, or no more of it than the search, for the configuration in `folder`; returns the exit code.

    Raises:
        UserError: when the run fails in a way that a sentence explains.
    """
    config = config_file.load(folder.config)
    beam.arguments(config.beam)  # refuses what the graph would be refused with, before any data is read
    if config.tune.trials:  # trials are trained in processes of their own, which find what this one leaves of a GPU
        os.environ.setdefault("TF_FORCE_GPU_ALLOW_GROWTH", "true")
    make_strategy(config.train.replicas)  # devices must be declared before anything makes TensorFlow start
    if config.tune.trials:
        from tuner import search  # imports KerasTuner, which a run without a search does not need

        search.check(config.tune, config.experiment)
    events.plan([SOURCE])
    events.start(SOURCE)
    source = prepare(config)
    if config.train.initial_weights:
        for sentence in try_initial_weights(config.experiment):
            events.note(f"{config.train.initial_weights}: {sentence}")
    from pipeline.runners.local import runner  # TFX takes several times as long to import as bad data takes to be found

    events.end(COMPLETE)
    return runner.run(config, source, folder, events, search_only)


def explain(error: Exception, workspace: str, node: str | None) -> UserError | None:
    """Returns the sentence behind the error, if there is one; None where its traceback is what tells most.

    Args:
        error: what ended the run. TFX may have failed to note in ML Metadata why a component failed, on a full disk for
            one, and then it is only the context of that.
        workspace: of the run.
        node: what ran, if anything.
    """
    for cause in disk.causes(error):
        if isinstance(cause, UserError):
            return cause
    if disk.ran_out(error):
        return disk.stopped(workspace, node or "the run")
    return None


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one run; what fails is told as an event, with its traceback in the log."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--run-dir", type=Path, required=True, help="folder of the run, with its configuration")
    parser.add_argument("--events-fd", type=int, required=True, help="open file for events, one JSON object a line")
    parser.add_argument("--search-only", action="store_true", help="stop after the search")
    options = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO)
    absl_logging.set_verbosity(absl_logging.INFO)
    with os.fdopen(options.events_fd, "w", buffering=1) as pipe:
        events = Events(lambda event: print(json.dumps(event), file=pipe))
        progress.LOGGER.addHandler(ProgressHandler(events.send))
        try:
            return run(RunFolder(options.run_dir), events, options.search_only)
        except Exception as error:
            logging.exception("the run failed")
            told = explain(error, config_file.load(RunFolder(options.run_dir).config).workspace, events.running)
            if told is None:
                raise
            events.fail(str(told), told.exit_code)
            return told.exit_code
        finally:
            if events.running:
                events.end(FAILED)


if __name__ == "__main__":
    sys.exit(main())
