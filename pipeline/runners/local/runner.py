"""Runs the graph on this machine with TFX's local runner.

It is also a pipeline file for TFX's own command line, which then runs the quickstart: `tfx pipeline create --engine
local --pipeline_path pipeline/runners/local/runner.py`, then `tfx run create --engine local --pipeline_name shiftvit`.
"""

import dataclasses
import json
import logging
import re
from collections.abc import Callable
from pathlib import Path

from absl import logging as absl_logging
from tfx.dsl.compiler import constants
from tfx.dsl.components.common.resolver import Resolver
from tfx.orchestration.local.local_dag_runner import LocalDagRunner
from tfx.orchestration.metadata import sqlite_metadata_connection_config
from tfx.orchestration.pipeline import Pipeline, RunOptions
from tfx.orchestration.portable import runtime_parameter_utils
from tfx.proto.orchestration import pipeline_pb2
from tfx.types import Channel
from tfx.types.standard_artifacts import Model, ModelBlessing
from tfx.utils import path_utils

from components.baseline import BlessedBeforeStrategy
from pipeline.config.presets import quickstart
from pipeline.config.settings import PipelineConfig
from pipeline.graph.dag import Site, create_pipeline
from pipeline.graph.nodes import Node
from pipeline.runners import beam
from pipeline.runners.local import cache
from pipeline.runners.local.result import Executions, build_run_result, build_search_result, output
from pipeline.runs import machine, predictions, run_result, workspace_stack
from pipeline.runs.events import CACHED, COMPLETE, FAILED, PREDICTIONS, Events
from pipeline.runs.lineage import Execution, Lineage
from pipeline.runs.workspace import RunFolder, Workspace
from pipeline.sources.prepare import Source, prepare
from shiftvit.errors import NotBlessedError, UserError
from shiftvit.files import atomic


class NamedRunner(LocalDagRunner):
    """TFX's local runner with our id for the run instead of the time of day."""

    def __init__(self, run_id: str):
        super().__init__()
        self.run_id = run_id

    def run_with_ir(self, pipeline: pipeline_pb2.Pipeline, run_options: pipeline_pb2.RunOptions | None = None) -> None:
        """Sets the id in the compiled pipeline and runs it."""
        runtime_parameter_utils.substitute_runtime_parameter(
            pipeline, {constants.PIPELINE_RUN_ID_PARAMETER_NAME: self.run_id}
        )
        super().run_with_ir(pipeline, run_options)


class NodeWatcher(logging.Handler):
    """Sends an event when a node starts or ends, which TFX's local runner reports only in its log."""

    _LINE = re.compile(r"Component (\S+) is (running|finished)\.")

    def __init__(self, events: Events, read_executions: Callable[[], list[Execution]]):
        super().__init__()
        self._events, self._read_executions = events, read_executions

    def emit(self, record: logging.LogRecord) -> None:
        """Handles one record of TFX's log."""
        found = self._LINE.fullmatch(record.getMessage())
        if found is None:
            return
        node, state = found.groups()
        if state == "running":
            self._events.start(node)
        else:
            states = [execution.state for execution in self._read_executions() if execution.node == node]
            self._events.end(states[-1] if states else FAILED)


def local_site(config: PipelineConfig) -> Site:
    """Returns the site of a run on this machine, which keeps everything in the workspace."""
    workspace = Workspace(Path(config.workspace).resolve())
    return Site(
        root=str(workspace.artifacts),
        training=str(workspace.training),
        tuning=str(workspace.tuning),
        push_destination=str(workspace.serving),
        make_baseline=resolve_baseline,
        beam_args=beam.arguments(config.beam),
        metadata=sqlite_metadata_connection_config(str(workspace.metadata)),
    )


def resolve_baseline(candidate: Channel) -> Resolver:
    """Returns the node that finds the latest blessed model in ML Metadata."""
    return Resolver(
        BlessedBeforeStrategy,
        candidate=candidate,
        model=Channel(type=Model),
        model_blessing=Channel(type=ModelBlessing),
    ).with_id(Node.BASELINE)


def run(config: PipelineConfig, source: Source, folder: RunFolder, events: Events, search_only: bool) -> int:
    """Runs the graph, writes the result into the run's folder, and returns the exit code.

    Args:
        config: of the run.
        source: the prepared data.
        folder: of the run.
        events: receives the progress and the result.
        search_only: whether to stop after the search.

    Raises:
        UserError: when the run fails for a reason that one sentence explains.
    """
    workspace = Workspace(Path(config.workspace))
    lineage = Lineage(workspace.metadata)
    pipeline = create_pipeline(config, source, local_site(config))
    upstream = {node.id: sorted(each.id for each in node.upstream_nodes) for node in pipeline.components}
    atomic.write_file(folder.graph, json.dumps(upstream, indent=2) + "\n")
    nodes = [node.id for node in pipeline.components]
    events.plan(nodes[: nodes.index(Node.TUNER) + 1] if search_only else [*nodes, PREDICTIONS])
    for deleted in lineage.deleted_baselines():
        events.note(f"{deleted} was deleted: the model is compared with the newest older one that is there, if any")
    joules = _run_nodes(pipeline, folder, events, lineage, RunOptions(to_nodes=[Node.TUNER]) if search_only else None)
    executions = {execution.node: execution for execution in lineage.executions(folder.id)}
    unfinished = [node for node, execution in executions.items() if execution.state not in (COMPLETE, CACHED)]
    if unfinished:
        raise UserError(f"{', '.join(unfinished)} did not finish; the run's log says why")
    names = source.identity.class_names
    result = build_search_result(executions) if search_only else build_run_result(executions, names)
    result = dataclasses.replace(result, machine=machine.describe() | {"processor_joules": joules})
    run_result.write(folder, result)
    if not search_only:
        events.start(PREDICTIONS)
        events.end(COMPLETE if save_predictions(executions, folder, workspace, events) else FAILED)
    events.finish(dataclasses.asdict(result))
    return NotBlessedError.exit_code if result.reasons else 0


def _run_nodes(
    pipeline: Pipeline, folder: RunFolder, events: Events, lineage: Lineage, options: RunOptions | None
) -> float | None:
    """Runs the nodes; returns the joules that the processors used meanwhile, or None if they cannot be read."""
    watcher = NodeWatcher(events, lambda: lineage.executions(folder.id))
    absl_logging.get_absl_logger().addHandler(watcher)
    try:
        root = Path(pipeline.pipeline_info.pipeline_root).parent
        with machine.EnergyMeter() as energy, cache.independent_of(root):
            NamedRunner(folder.id).run(pipeline, options)
    finally:
        absl_logging.get_absl_logger().removeHandler(watcher)
    return energy.joules


def save_predictions(executions: Executions, folder: RunFolder, workspace: Workspace, events: Events) -> bool:
    """Saves per-image predictions for the report; returns False if that fails, which never fails the run.

    Predictions of an earlier run of the same model and data are used again.
    """
    try:
        earlier = [other.predictions for other in reversed(workspace.run_folders())]
        model = path_utils.serving_model_dir(output(executions, Node.TRAINER, "model").uri)
        examples = output(executions, Node.EXAMPLE_GEN, "examples").uri
        predictions.save(predictions.gather(model, examples, earlier), folder.predictions)
    except Exception as error:  # whatever it is, the model is trained and pushed
        logging.exception("cannot save the predictions")
        events.note(f"The report will lack calibration and mistakes: {error}")
        return False
    return True


if __name__ == "__main__":
    config = quickstart()
    workspace_stack.claim(Workspace(Path(config.workspace)))
    LocalDagRunner().run(create_pipeline(config, prepare(config), local_site(config)))
