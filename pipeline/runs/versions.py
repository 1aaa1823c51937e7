"""The pushed versions: which run made each, which one is served, and rollback. Imports no TensorFlow."""

import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from ml_metadata.proto import metadata_store_pb2 as mlmd

from components import serving_folder
from components.serving_folder import PUSHED_DESTINATION, PUSHED_VERSION
from pipeline.config.settings import PushConfig
from pipeline.runs import run_result
from pipeline.runs.lineage import PUSHED_MODEL, ROLLBACK_OF, Artifact, Execution, Lineage
from pipeline.runs.workspace import RunFolder, Workspace
from shiftvit.errors import ConfigError, UserError
from shiftvit.files import disk
from shiftvit.metrics import TOP1

Pushed = dict[str, tuple[Artifact, Execution]]  # by version, as Lineage.pushed returns it


@dataclass(frozen=True)
class Version:
    """A pushed model."""

    number: int
    folder: Path
    served: bool
    run: str | None  # id of the run that made the model, even if a rollback made this copy; None if unknown
    top1: float | None  # on the test split
    rollback_of: int | None


def list_versions(workspace: Workspace) -> list[Version]:
    """Returns the versions in the serving folder, newest first; the first one is served."""
    numbers = serving_folder.numbers(workspace.serving)
    pushed = Lineage(workspace.metadata).pushed() if numbers else {}
    return [_describe(workspace, number, number == numbers[0], pushed) for number in numbers]


def find(workspace: Workspace, number: int | None) -> Path:
    """Returns the folder of that version in the serving folder; without a number, that of the newest version.

    Raises:
        ConfigError: when there is none.
    """
    numbers = serving_folder.numbers(workspace.serving)
    if number is None and numbers:
        return workspace.serving / str(numbers[0])
    if number is not None and number not in numbers and number in _archived(workspace):
        raise ConfigError(
            f"version {number} is no longer in {workspace.serving}, as newer ones replaced it; "
            f"bring it back with `shiftvit rollback {number}`"
        )
    return find_model(workspace, number)


def find_model(workspace: Workspace, number: int | None) -> Path:
    """Returns the folder with the model of that version: in the serving folder, or the Pusher's copy of it.

    Raises:
        ConfigError: when there is none.
    """
    numbers, archived = serving_folder.numbers(workspace.serving), _archived(workspace)
    if number in numbers:
        return workspace.serving / str(number)
    if number in archived:
        return archived[number]
    if number is None or not (numbers or archived):
        raise ConfigError(f"{workspace.serving}: no version was pushed yet; train and push one with `shiftvit run`")
    was_pushed = str(number) in Lineage(workspace.metadata).pushed()
    problem = "and its archived copy were deleted from" if was_pushed else "was never pushed to"
    older = _join(archived.keys() - numbers)
    others = f"; `shiftvit rollback` can bring back {older}" if older else ""
    raise ConfigError(f"version {number} {problem} {workspace.serving}, which has {_join(numbers) or 'none'}{others}")


def _join(numbers: Iterable[int]) -> str:
    return ", ".join(map(str, sorted(numbers, reverse=True)))


def _archived(workspace: Workspace) -> dict[int, Path]:
    """Returns the folders of the PushedModel artifacts that still have a model, by version."""
    pushed = Lineage(workspace.metadata).pushed()
    originals = {int(name): pushed.get(str(_origins(workspace, int(name), pushed)[-1])) for name in pushed}
    folders = {number: Path(original[0].uri) for number, original in originals.items() if original is not None}
    return {number: folder for number, folder in folders.items() if serving_folder.is_model(folder)}


def served_as(workspace: Workspace, number: int) -> int | None:
    """Returns the served version if its model is that of version `number`, otherwise None."""
    pushed = Lineage(workspace.metadata).pushed()
    newest = next(iter(serving_folder.numbers(workspace.serving)), None)
    if newest is not None and _origins(workspace, newest, pushed)[-1] == _origins(workspace, number, pushed)[-1]:
        return newest
    return None


def rollback(workspace: Workspace, number: int) -> int | None:
    """Serves the model of version `number` again, by copying it under the next number.

    The serving folder keeps as many versions as after the last push, or the default number if that is unknown.

    Returns:
        The new version, or None if that model is served already.

    Raises:
        ConfigError: when there is no such version.
        UserError: when the copy cannot be written.
        DiskFullError: when the disk is full.
    """
    folder = find_model(workspace, number)
    _record_unrecorded(workspace)
    if served_as(workspace, number) is not None:
        return None
    origin = serving_folder.Origin(rollback_of=number, keep=_last_keep(workspace))
    next_number = 1 + max(map(int, Lineage(workspace.metadata).pushed()), default=0)
    try:
        with disk.ensure_space(workspace.serving, disk.folder_size(folder), "the copy of the version"):
            copied, _ = serving_folder.publish(folder, workspace.serving, origin, at_least=next_number)
    except (OSError, shutil.Error) as error:
        raise UserError(f"{workspace.serving}: cannot copy version {number} there ({error})") from error
    _record(workspace, number, workspace.serving / str(copied))
    return copied


def _last_keep(workspace: Workspace) -> int:
    origins = [
        serving_folder.read_origin(workspace.serving / str(n)) for n in serving_folder.numbers(workspace.serving)
    ]
    return next((origin.keep for origin in origins if origin.keep), PushConfig().keep)


def _record_unrecorded(workspace: Workspace) -> None:
    """Records rollbacks that were killed after copying their version but before recording it in ML Metadata."""
    pushed = Lineage(workspace.metadata).pushed()
    for number in serving_folder.numbers(workspace.serving):
        version = workspace.serving / str(number)
        rollback_of = serving_folder.read_origin(version).rollback_of
        if rollback_of is not None and str(number) not in pushed:
            _record(workspace, rollback_of, version)


def _record(workspace: Workspace, number: int, target: Path) -> None:
    """Records in ML Metadata that a rollback to version `number` made the version at `target`."""
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
    events = [(artifact, _event(mlmd.Event.OUTPUT, "pushed_model"))]
    if original is not None:
        events.append((store.get_artifacts_by_id([original[0].id])[0], _event(mlmd.Event.INPUT, "pushed_model")))
    store.put_execution(execution, events, lineage.pipeline_contexts())


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
    """Returns the version itself, the one it was copied from in a rollback, and so on to the one that a run pushed."""
    origins = [number]
    while (earlier := _rollback_of(workspace, origins[-1], pushed)) is not None:
        origins.append(earlier)
    return origins


def _rollback_of(workspace: Workspace, number: int, pushed: Pushed) -> int | None:
    """Returns the version this one was copied from: from its folder, or from ML Metadata if the folder is gone."""
    source = serving_folder.read_origin(workspace.serving / str(number)).rollback_of
    if source is None and str(number) in pushed and ROLLBACK_OF in pushed[str(number)][0].properties:
        return int(pushed[str(number)][0].properties[ROLLBACK_OF])
    return source


def _top1(workspace: Workspace, run: str | None) -> float | None:
    if not run:
        return None
    result = run_result.read(RunFolder(workspace.runs / run))
    return result.metrics.get(TOP1) if result else None
