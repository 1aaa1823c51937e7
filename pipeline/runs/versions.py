"""The pushed versions: who pushed them, which one is served, and how to go back. Imports no TensorFlow."""

import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from ml_metadata.proto import metadata_store_pb2 as mlmd

from components import serving_folder
from pipeline.config.settings import PushConfig
from pipeline.runs import run_result
from pipeline.runs.lineage import (
    PUSHED_DESTINATION,
    PUSHED_MODEL,
    PUSHED_VERSION,
    ROLLBACK_OF,
    Artifact,
    Execution,
    Lineage,
)
from pipeline.runs.workspace import RunFolder, Workspace
from shiftvit.errors import ConfigError, UserError
from shiftvit.files import disk

Pushed = dict[str, tuple[Artifact, Execution]]  # by version, as Lineage.pushed gives it


@dataclass(frozen=True)
class Version:
    """A pushed model."""

    number: int
    folder: Path
    served: bool
    run: str | None  # id of the run that made it, also where a rollback brought it back
    top1: float | None  # on the test split
    rollback_of: int | None


def list_versions(workspace: Workspace) -> list[Version]:
    """Returns the pushed versions, newest first; TensorFlow Serving serves the first of them."""
    numbers = serving_folder.numbers(workspace.serving)
    pushed = Lineage(workspace.metadata).pushed() if numbers else {}
    return [_describe(workspace, number, number == numbers[0], pushed) for number in numbers]


def find(workspace: Workspace, number: int | None) -> Path:
    """Returns the folder of that version, or of the newest.

    Raises:
        ConfigError: when nothing was pushed, or not that version, or it was removed since.
    """
    numbers = serving_folder.numbers(workspace.serving)
    if number is None and numbers:
        return workspace.serving / str(numbers[0])
    if number is not None and number not in numbers and number in _archived(workspace):
        raise ConfigError(
            f"version {number} is not in {workspace.serving} any more, newer ones have taken its place; "
            f"`shiftvit rollback {number}` brings it back"
        )
    return find_model(workspace, number)


def find_model(workspace: Workspace, number: int | None) -> Path:
    """Returns the folder that holds the model of that version: its own, or that of the archive once it was removed.

    Raises:
        ConfigError: when nothing was pushed, or not that version, or nothing is left of it.
    """
    numbers, archived = serving_folder.numbers(workspace.serving), _archived(workspace)
    if number in numbers:
        return workspace.serving / str(number)
    if number in archived:
        return archived[number]
    if number is None or not (numbers or archived):
        raise ConfigError(f"{workspace.serving}: no version was pushed there yet; `shiftvit run` makes the first")
    was_pushed = str(number) in Lineage(workspace.metadata).pushed()
    trouble = "is gone, with its copy in the archive, from" if was_pushed else "was never pushed to"
    older = _listed(archived.keys() - numbers)
    way_back = f", and `shiftvit rollback` can bring back {older}" if older else ""
    raise ConfigError(f"version {number} {trouble} {workspace.serving}; it has {_listed(numbers) or 'none'}{way_back}")


def _listed(numbers: Iterable[int]) -> str:
    return ", ".join(map(str, sorted(numbers, reverse=True)))


def _archived(workspace: Workspace) -> dict[int, Path]:
    """Returns the folders in which the Pusher keeps its models, by version, for as long as they are there."""
    pushed = Lineage(workspace.metadata).pushed()
    roots = {int(name): pushed.get(str(_origins(workspace, int(name), pushed)[-1])) for name in pushed}
    folders = {number: Path(root[0].uri) for number, root in roots.items() if root is not None}
    return {number: folder for number, folder in folders.items() if serving_folder.is_model(folder)}


def served_as(workspace: Workspace, number: int) -> int | None:
    """Returns the served version if its model is that of version `number`: itself, or brought back by a rollback."""
    pushed = Lineage(workspace.metadata).pushed()
    for newest in serving_folder.numbers(workspace.serving)[:1]:
        if _origins(workspace, newest, pushed)[-1] == _origins(workspace, number, pushed)[-1]:
            return newest
    return None


def rollback(workspace: Workspace, number: int) -> int | None:
    """Makes the model of version `number` the served one, by a copy under the next number.

    No more versions are kept than the last push kept; where that is not known, as many as are by default.

    Returns the new version; None, and nothing is copied, when that model is served already.

    Raises:
        ConfigError: when there is no such version.
        UserError: when the copy cannot be written.
        DiskFullError: when there is no room for it.
    """
    folder = find_model(workspace, number)
    _record_unrecorded(workspace)
    if served_as(workspace, number) is not None:
        return None
    origin = serving_folder.Origin(rollback_of=number, keep=_last_keep(workspace))
    following = 1 + max(map(int, Lineage(workspace.metadata).pushed()), default=0)
    try:
        with disk.ensure_space(workspace.serving, disk.folder_size(folder), "the copy of the version"):
            made, _ = serving_folder.publish(folder, workspace.serving, origin, at_least=following)
    except (OSError, shutil.Error) as error:
        raise UserError(f"{workspace.serving}: cannot copy version {number} there ({error})") from error
    _record(workspace, number, workspace.serving / str(made))
    return made


def _last_keep(workspace: Workspace) -> int:
    origins = [
        serving_folder.read_origin(workspace.serving / str(n)) for n in serving_folder.numbers(workspace.serving)
    ]
    return next((origin.keep for origin in origins if origin.keep), PushConfig().keep)


def _record_unrecorded(workspace: Workspace) -> None:
    """Records the rollbacks that were killed after their version was there, and before ML Metadata knew of it."""
    pushed = Lineage(workspace.metadata).pushed()
    for number in serving_folder.numbers(workspace.serving):
        version = workspace.serving / str(number)
        rollback_of = serving_folder.read_origin(version).rollback_of
        if rollback_of is not None and str(number) not in pushed:
            _record(workspace, rollback_of, version)


def _record(workspace: Workspace, number: int, target: Path) -> None:
    """Tells ML Metadata that the Rollback of version `number` made the one at `target`."""
    lineage = Lineage(workspace.metadata, writable=True)
    store = lineage.store
    original = lineage.pushed().get(str(number))
    model_type = mlmd.ArtifactType(name=PUSHED_MODEL, base_type=mlmd.ArtifactType.MODEL)
    artifact = mlmd.Artifact(
        type_id=store.put_artifact_type(model_type, can_add_fields=True, can_omit_fields=True),
        uri=str(target),
        state=mlmd.Artifact.LIVE,
    )
    for name, value in ((PUSHED_DESTINATION, str(target)), (PUSHED_VERSION, target.name), (ROLLBACK_OF, str(number))):
        artifact.custom_properties[name].string_value = value
    execution = mlmd.Execution(
        type_id=store.put_execution_type(mlmd.ExecutionType(name="Rollback")), last_known_state=mlmd.Execution.COMPLETE
    )
    made = [(artifact, _event(mlmd.Event.OUTPUT, "pushed_model"))]
    if original is not None:
        made.append((store.get_artifacts_by_id([original[0].id])[0], _event(mlmd.Event.INPUT, "pushed_model")))
    store.put_execution(execution, made, lineage.pipeline_contexts())


def _event(kind: int, key: str) -> mlmd.Event:
    return mlmd.Event(
        type=kind, path=mlmd.Event.Path(steps=[mlmd.Event.Path.Step(key=key), mlmd.Event.Path.Step(index=0)])
    )


def _describe(workspace: Workspace, number: int, served: bool, pushed: Pushed) -> Version:
    _, *origins = _origins(workspace, number, pushed)
    original = str(origins[-1] if origins else number)
    run = pushed[original][1].run if original in pushed else None
    return Version(
        number, workspace.serving / str(number), served, run, _top1(workspace, run), origins[0] if origins else None
    )


def _origins(workspace: Workspace, number: int, pushed: Pushed) -> list[int]:
    """The version itself, that which it brought back, and so on to the one that a run pushed."""
    origins = [number]
    while (earlier := _brought_back(workspace, origins[-1], pushed)) is not None:
        origins.append(earlier)
    return origins


def _brought_back(workspace: Workspace, number: int, pushed: Pushed) -> int | None:
    """Returns the version that this one brought back, also where ML Metadata does not know, or the folder is gone."""
    noted = serving_folder.read_origin(workspace.serving / str(number)).rollback_of
    if noted is None and str(number) in pushed and ROLLBACK_OF in pushed[str(number)][0].properties:
        return int(pushed[str(number)][0].properties[ROLLBACK_OF])
    return noted


def _top1(workspace: Workspace, run: str | None) -> float | None:
    if not run:
        return None
    result = run_result.read(RunFolder(workspace.runs / run))
    return result.metrics.get("top1") if result else None
