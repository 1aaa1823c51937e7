"""Runs the graph on this machine with TFX's local runner.

It is also a pipeline file for TFX's own command line, where it runs the quickstart: `tfx pipeline create --engine local
--pipeline_path pipeline/runners/local/runner.py`, then `tfx run create --engine local --pipeline_name shiftvit`.
"""

import json
import logging
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from absl import logging as absl_logging
from tfx import v1 as tfx
from tfx.dsl.compiler import constants
from tfx.orchestration.pipeline import RunOptions
from tfx.orchestration.portable import runtime_parameter_utils
from tfx.utils import path_utils

from components import serving_folder
from components.baseline import BlessedBeforeStrategy
from components.canary import executor as canary
from components.evaluator.explain import explain
from components.evaluator.results import read_metrics
from components.lite import executor as lite
from components.pusher import ALREADY_PUSHED
from pipeline.config.presets import quickstart
from pipeline.config.settings import PipelineConfig
from pipeline.graph.dag import Site, create_pipeline
from pipeline.graph.nodes import Node
from pipeline.runners import beam
from pipeline.runs import machine
from pipeline.runs import predictions as saved_predictions
from pipeline.runs.events import CACHED, COMPLETE, FAILED, REPORT, Events
from pipeline.runs.lineage import PUSHED_DESTINATION, PUSHED_VERSION, Artifact, Execution, Lineage
from pipeline.runs.machine import EnergyMeter
from pipeline.runs.search import read_search
from pipeline.runs.workspace import RunFolder, Workspace
from pipeline.sources.prepare import Source, prepare
from shiftvit.errors import NotBlessedError, UserError
from shiftvit.files import atomic


class NamedRunner(tfx.orchestration.LocalDagRunner):
    """TFX's local runner, with a name for the run instead of the time of day."""

    def __init__(self, run_id: str):
        super().__init__()
        self.run_id = run_id

    def run_with_ir(self, pipeline, run_options=None):
        """Runs the compiled pipeline under that name."""
        runtime_parameter_utils.substitute_runtime_parameter(
            pipeline, {constants.PIPELINE_RUN_ID_PARAMETER_NAME: self.run_id}
        )
        super().run_with_ir(pipeline, run_options)


class NodeWatcher(logging.Handler):
    """Tells when a component starts and ends, which TFX's local runner says only in its log."""

    _STARTS, _ENDS = "Component %s is running.", "Component %s is finished."

    def __init__(self, events: Events, read_executions: Callable[[], list[Execution]]):
        super().__init__()
        self._events, self._read_executions = events, read_executions

    def emit(self, record: logging.LogRecord) -> None:
        """Takes a line of TFX's log."""
        if record.msg == self._STARTS:
            self._events.start(*record.args)
        elif record.msg == self._ENDS:
            states = [execution.state for execution in self._read_executions() if execution.node == record.args[0]]
            self._events.end(states[-1] if states else FAILED)


def local_site(config: PipelineConfig) -> Site:
    """Returns where the graph keeps what on this machine: all in the workspace."""
    workspace = Workspace(Path(config.workspace).resolve())
    return Site(
        root=str(workspace.artifacts),
        training=str(workspace.training),
        tuning=str(workspace.tuning),
        push_destination=str(workspace.serving),
        make_baseline=resolve_baseline,
        beam_args=beam.arguments(config.beam),
        metadata=tfx.orchestration.metadata.sqlite_metadata_connection_config(str(workspace.metadata)),
    )


def resolve_baseline(candidate: tfx.dsl.Channel) -> tfx.dsl.Resolver:
    """Returns the node that finds the latest blessed model in ML Metadata."""
    return tfx.dsl.Resolver(
        BlessedBeforeStrategy,
        candidate=candidate,
        model=tfx.dsl.Channel(type=tfx.types.standard_artifacts.Model),
        model_blessing=tfx.dsl.Channel(type=tfx.types.standard_artifacts.ModelBlessing),
    ).with_id(Node.BASELINE)


def run(config: PipelineConfig, source: Source, folder: RunFolder, events: Events, search_only: bool) -> int:
    """Runs the graph, writes what came of it into the run's folder, and returns the exit code.

    search_only: the nodes after the search are left out.

    Raises:
        UserError: when the run fails in a way that a sentence explains.
    """
    workspace = Workspace(Path(config.workspace))
    lineage = Lineage(workspace.metadata)
    pipeline = create_pipeline(config, source, local_site(config))
    nodes = [node.id for node in pipeline.components]
    waits = {node.id: sorted(giver.id for giver in node.upstream_nodes) for node in pipeline.components}
    atomic.write_file(folder.graph, json.dumps(waits, indent=2) + "\n")
    events.plan(nodes[: nodes.index(Node.TUNER) + 1] if search_only else [*nodes, REPORT])
    watcher = NodeWatcher(events, lambda: lineage.executions(folder.id))
    absl_logging.get_absl_logger().addHandler(watcher)
    try:
        with EnergyMeter() as energy:
            NamedRunner(folder.id).run(pipeline, RunOptions(to_nodes=[Node.TUNER]) if search_only else None)
    finally:
        absl_logging.get_absl_logger().removeHandler(watcher)
    executions = {execution.node: execution for execution in lineage.executions(folder.id)}
    _check_finished(executions)
    result = conclude_search(executions) if search_only else conclude(executions, source)
    result["machine"] = machine.describe() | {"processor_joules": energy.joules}
    atomic.write_file(folder.result, json.dumps(result, indent=2) + "\n")
    if not search_only:
        events.start(REPORT)
        earlier = [other.predictions for other in reversed(workspace.run_folders())]
        events.end(COMPLETE if save_predictions(executions, folder, events, earlier) else FAILED)
    events.send(result)
    return NotBlessedError.exit_code if result["reasons"] else 0


def save_predictions(
    executions: dict[str, Execution], folder: RunFolder, events: Events, earlier: Iterable[Path]
) -> bool:
    """Has the report know the single answers; without them it tells less, which is no reason for a run to fail.

    earlier: predictions of other runs, of which some may have asked this model.
    """
    try:
        model = path_utils.serving_model_dir(_output(executions["Trainer"], "model").uri)
        examples = _output(executions["Cifar10ExampleGen"], "examples").uri
        saved_predictions.save(saved_predictions.gather(model, examples, earlier), folder.predictions)
    except Exception as error:
        logging.exception("no predictions")
        events.note(f"The report will have neither calibration nor mistakes: {error}")
        return False
    return True


def _check_finished(executions: dict[str, Execution]) -> None:
    unfinished = [node for node, execution in executions.items() if execution.state not in (COMPLETE, CACHED)]
    if unfinished:
        raise UserError(f"{', '.join(unfinished)} did not finish; the run's log says why")


def conclude_search(executions: dict[str, Execution]) -> dict[str, Any]:
    """Returns the result of a finished search.

    Raises:
        UserError: when what an earlier run found is gone.
    """
    search = read_search([executions[Node.TUNER]])
    if search is None:
        folder = _output(executions[Node.TUNER], "tuner_results").uri
        raise UserError(
            f"{folder}: an earlier run left the results of this search there, and they are gone; "
            "another --workspace, or another train.seed, searches anew"
        )
    return {"event": "result", "reasons": [], "search": search}


def conclude(executions: dict[str, Execution], source: Source) -> dict[str, Any]:
    """Returns the result of a finished run: what it measured, what it pushed, and if it did not, why.

    Raises:
        UserError: when what an earlier run pushed is gone.
    """
    evaluation = _output(executions["Evaluator"], "evaluation").uri
    pushed = _output(executions["Pusher"], "pushed_model")
    result = {"event": "result", "metrics": read_metrics(evaluation), "reasons": [], "pushed_version": None}
    result["latency_ms"] = canary.read_latency(_output(executions["Canary"], "blessing").uri)
    if Node.LITE_EXPORT in executions:
        result["lite"] = lite.read_report(_output(executions[Node.LITE_EXPORT], "lite_model").uri)
    if not pushed.properties["pushed"]:
        return result | {"reasons": _reasons(executions, evaluation, source)}
    destination = Path(pushed.properties[PUSHED_DESTINATION])
    if not destination.exists():
        raise UserError(f"{destination}: an earlier run pushed this model there, {_way_back(pushed)}")
    return result | {
        "pushed_version": pushed.properties[PUSHED_VERSION],
        "destination": str(destination),
        "new": executions["Pusher"].state == COMPLETE and not pushed.properties.get(ALREADY_PUSHED),
    }


def _way_back(pushed: Artifact) -> str:
    version = pushed.properties[PUSHED_VERSION]
    if serving_folder.is_model(Path(pushed.uri)):
        return f"and newer ones have taken its place since; `shiftvit rollback {version}` brings it back"
    return f"and it is gone, as is its copy in {pushed.uri}; another --workspace, or another train.seed, trains anew"


def _reasons(executions: dict[str, Execution], evaluation: str, source: Source) -> list[str]:
    blessing = _output(executions["Canary"], "blessing")
    refused = [] if blessing.properties["blessed"] else [canary.explain(blessing.uri)]
    return explain(evaluation, source.class_names) + refused


def _output(execution: Execution, key: str) -> Artifact:
    return execution.outputs[key][0]


if __name__ == "__main__":
    config = quickstart()
    tfx.orchestration.LocalDagRunner().run(create_pipeline(config, prepare(config), local_site(config)))
