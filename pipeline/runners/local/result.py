"""Builds the result of a finished run from what its components left in ML Metadata."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from components import refusal, serving_folder
from components.canary import report as canary
from components.evaluator.results import read_metrics
from components.lite.report import read_report
from components.serving_folder import ALREADY_PUSHED, PUSHED_DESTINATION, PUSHED_VERSION
from pipeline.graph.nodes import Node
from pipeline.runs.events import COMPLETE
from pipeline.runs.lineage import Artifact, Execution
from pipeline.runs.run_result import RunResult
from pipeline.runs.search import read_search
from shiftvit.errors import UserError

Executions = Mapping[str, Execution]  # by node id


def output(executions: Executions, node: Node, key: str) -> Artifact:
    """Returns the output artifact `key` of a node."""
    return executions[node].outputs[key][0]


def build_search_result(executions: Executions) -> RunResult:
    """Returns the result of a search.

    Raises:
        UserError: when the search comes from the cache and its results were deleted.
    """
    search = read_search([executions[Node.TUNER]])
    if search is None:
        folder = output(executions, Node.TUNER, "tuner_results").uri
        raise UserError(
            f"{folder}: the results of this search, from an earlier run, were deleted; "
            "search again with another --workspace or another train.seed"
        )
    return RunResult(search=search)


def build_run_result(executions: Executions, class_names: Sequence[str]) -> RunResult:
    """Returns the result of a run: its measurements, and the version it pushed or the reasons why it pushed none.

    Raises:
        UserError: when the push comes from the cache and the version was removed.
    """
    evaluation = output(executions, Node.EVALUATOR, "evaluation").uri
    blessing = output(executions, Node.CANARY, "blessing").uri
    pushed = output(executions, Node.PUSHER, "pushed_model")
    reasons, version, destination = [], None, None
    if pushed.properties["pushed"]:
        version, destination = pushed.properties[PUSHED_VERSION], pushed.properties[PUSHED_DESTINATION]
        _check_not_removed(pushed)
    else:
        reasons = refusal.reasons(evaluation, blessing, class_names)
    return RunResult(
        reasons=reasons,
        metrics=read_metrics(evaluation, len(class_names)),
        latency_ms=canary.read_report(blessing).latency_ms,
        lite=_read_lite(executions),
        pushed_version=version,
        destination=destination,
        new=version is not None
        and executions[Node.PUSHER].state == COMPLETE
        and not pushed.properties.get(ALREADY_PUSHED),
    )


def _read_lite(executions: Executions) -> dict[str, Any]:
    if Node.LITE_EXPORT not in executions:
        return {}
    return asdict(read_report(output(executions, Node.LITE_EXPORT, "lite_model").uri))


def _check_not_removed(pushed: Artifact) -> None:
    destination, version = Path(pushed.properties[PUSHED_DESTINATION]), pushed.properties[PUSHED_VERSION]
    if destination.exists():
        return
    if serving_folder.is_model(Path(pushed.uri)):
        raise UserError(
            f"{destination}: an earlier run pushed this model, and newer versions have replaced it since; "
            f"`shiftvit rollback {version}` brings it back"
        )
    raise UserError(
        f"{destination}: an earlier run pushed this model, and both that version and its copy in {pushed.uri} were "
        "deleted; train again with another --workspace or another train.seed"
    )
