"""Runs the graph on this machine. `shiftvit run` starts this module in a process of its own and shows what it tells.

It is also a pipeline file for TFX's own command line, which then runs the quickstart:
`tfx pipeline create --engine local --pipeline_path pipeline/local.py`, then `tfx run create --engine local
--pipeline_name shiftvit`.
"""

import argparse
import json
import logging
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from absl import logging as absl_logging
from tfx import v1 as tfx
from tfx.dsl.compiler import constants
from tfx.orchestration.portable import runtime_parameter_utils

from components import evaluator
from components.canary import executor as canary
from pipeline import config as configuration
from pipeline.config import PipelineConfig
from pipeline.dag import create_pipeline
from pipeline.lineage import PUSHED_DESTINATION, PUSHED_VERSION, Execution, Lineage
from pipeline.sources import Source, prepare
from pipeline.terminal import ProgressHandler
from pipeline.workspace import RunFolder, Workspace
from shiftvit import progress
from shiftvit.errors import NotBlessedError, UserError
from shiftvit.train import make_strategy

Send = Callable[[dict[str, Any]], None]

SOURCE = "Source"  # the preparation of the data, shown like a component
RUNNING, COMPLETE, CACHED, FAILED = "running", "complete", "cached", "failed"


class NamedRunner(tfx.orchestration.LocalDagRunner):
    """TFX's local runner, with a name for the run instead of the time of day."""

    def __init__(self, run_id: str):
        super().__init__()
        self.run_id = run_id

    def run_with_ir(self, pipeline, run_options=None):
        """Runs the compiled pipeline under that name."""
        runtime_parameter_utils.substitute_runtime_parameter(
            pipeline, {constants.PIPELINE_RUN_ID_PARAMETER_NAME: self.run_id})
        super().run_with_ir(pipeline, run_options)


class NodeWatcher(logging.Handler):
    """Tells when a component starts and ends, which TFX's local runner says only in its log."""

    _STARTS, _ENDS = "Component %s is running.", "Component %s is finished."

    def __init__(self, send: Send, read_executions: Callable[[], list[Execution]]):
        super().__init__()
        self._send, self._read_executions = send, read_executions
        self.running: str | None = None

    def start(self, node: str) -> None:
        """Tells that `node` runs."""
        self.running = node
        self._send({"event": "node", "node": node, "state": RUNNING})

    def end(self, state: str) -> None:
        """Tells how the running node ended."""
        self._send({"event": "node", "node": self.running, "state": state})
        self.running = None

    def emit(self, record: logging.LogRecord) -> None:
        """Takes a line of TFX's log."""
        if record.msg == self._STARTS:
            self.start(*record.args)
        elif record.msg == self._ENDS:
            states = [execution.state for execution in self._read_executions() if execution.node == self.running]
            self.end(states[-1] if states else FAILED)


def run(folder: RunFolder, send: Send) -> int:
    """Runs the graph for the configuration in `folder`, writes its result there, and returns the exit code.

    Raises:
        UserError: when the run fails in a way that a sentence explains.
    """
    config = configuration.load(folder.config)
    workspace = Workspace(Path(config.workspace))
    lineage = Lineage(workspace.metadata)
    watcher = NodeWatcher(send, lambda: lineage.executions(folder.id))
    try:
        make_strategy(config.train.replicas)  # devices must be declared before anything else makes TensorFlow start
        watcher.start(SOURCE)
        source = prepare(config)
        pipeline = create_pipeline(config, source)
        watcher.end(COMPLETE)
        send({"event": "plan", "nodes": [SOURCE, *(node.id for node in pipeline.components)]})
        absl_logging.get_absl_logger().addHandler(watcher)
        NamedRunner(folder.id).run(pipeline)
    except BaseException:
        if watcher.running:
            watcher.end(FAILED)
        raise
    result = conclude({execution.node: execution for execution in lineage.executions(folder.id)}, source)
    _write(folder.result, result)
    send(result)
    return NotBlessedError.exit_code if result["reasons"] else 0


def conclude(executions: dict[str, Execution], source: Source) -> dict[str, Any]:
    """Returns the result of a finished run: what it measured, what it pushed, and if it did not, why.

    Raises:
        UserError: when a component did not finish, or when what an earlier run pushed is gone.
    """
    unfinished = [node for node, execution in executions.items() if execution.state not in (COMPLETE, CACHED)]
    if unfinished:
        raise UserError(f"{', '.join(unfinished)} did not finish; the run's log says why")
    evaluation = _output(executions["Evaluator"], "evaluation").uri
    pushed = _output(executions["Pusher"], "pushed_model")
    result = {"event": "result", "metrics": evaluator.read_metrics(evaluation), "reasons": [], "pushed_version": None}
    if not pushed.properties["pushed"]:
        return result | {"reasons": _reasons(executions, evaluation, source)}
    destination = Path(pushed.properties[PUSHED_DESTINATION])
    if not destination.exists():
        raise UserError(f"{destination}: an earlier run pushed this model there, and it is gone; copy {pushed.uri} to it")
    return result | {"pushed_version": pushed.properties[PUSHED_VERSION], "destination": str(destination),
                     "new": executions["Pusher"].state == COMPLETE}


def _reasons(executions: dict[str, Execution], evaluation: str, source: Source) -> list[str]:
    blessing = _output(executions["Canary"], "blessing")
    refused = [] if blessing.properties["blessed"] else [canary.explain(blessing.uri)]
    return evaluator.explain(evaluation, source.class_names) + refused


def _output(execution: Execution, key: str) -> Any:
    return execution.outputs[key][0]


def _write(path: Path, result: dict[str, Any]) -> None:
    temporary = path.with_suffix(".partial")
    temporary.write_text(json.dumps(result, indent=2) + "\n")
    temporary.rename(path)


def _run_quickstart() -> None:
    config: PipelineConfig = configuration.preset("quickstart")
    tfx.orchestration.LocalDagRunner().run(create_pipeline(config, prepare(config)))


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the graph for a run's folder, or, given none, the quickstart as TFX's command line does."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--run-dir", type=Path, help="folder of the run, with its resolved configuration")
    parser.add_argument("--events-fd", type=int, help="open file to write events to, one JSON object a line")
    options = parser.parse_args(arguments)
    if options.run_dir is None:
        _run_quickstart()
        return 0
    with os.fdopen(options.events_fd, "w", buffering=1) as events:
        def send(event: dict[str, Any]) -> None:
            events.write(json.dumps(event) + "\n")

        logging.basicConfig(level=logging.INFO)
        absl_logging.set_verbosity(absl_logging.INFO)
        progress.LOGGER.addHandler(ProgressHandler(send))
        try:
            return run(RunFolder(options.run_dir), send)
        except UserError as error:
            logging.exception("the run failed")
            send({"event": "error", "message": str(error), "exit_code": error.exit_code})
            return error.exit_code


if __name__ == "__main__":
    sys.exit(main())
