"""The pushed versions: who pushed them, which one is served, and how to go back. Imports no TensorFlow."""

import json
import shutil
from dataclasses import dataclass
from pathlib import Path

from ml_metadata.proto import metadata_store_pb2 as mlmd

from pipeline.lineage import (
    PUSHED_DESTINATION,
    PUSHED_MODEL,
    PUSHED_VERSION,
    ROLLBACK_OF,
    Artifact,
    Execution,
    Lineage,
)
from pipeline.workspace import RunFolder, Workspace
from shiftvit.errors import ConfigError, UserError

Pushed = dict[str, tuple[Artifact, Execution]]  # by version, as Lineage.pushed gives it

_MODEL_FILE = "saved_model.pb"  # the Pusher copies it last: a folder without it is half a version


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
    numbers = pushed_numbers(workspace)
    pushed = Lineage(workspace.metadata).pushed() if numbers else {}
    return [_describe(workspace, number, number == numbers[0], pushed) for number in numbers]


def pushed_numbers(workspace: Workspace) -> list[int]:
    """Returns the numbers of the whole versions in the serving folder, newest first."""
    if not workspace.serving.is_dir():
        return []
    return sorted(
        (
            int(path.name)
            for path in workspace.serving.iterdir()
            if path.name.isdecimal() and (path / _MODEL_FILE).is_file()
        ),
        reverse=True,
    )


def find(workspace: Workspace, number: int | None) -> Path:
    """Returns the folder of that version, or of the newest.

    Raises:
        ConfigError: when nothing was pushed, or not that version.
    """
    numbers = pushed_numbers(workspace)
    if not numbers:
        raise ConfigError(f"{workspace.serving}: no version was pushed there yet; `shiftvit run` makes the first")
    if number is not None and number not in numbers:
        raise ConfigError(
            f"version {number} was never pushed to {workspace.serving}; it has {', '.join(map(str, numbers))}"
        )
    return workspace.serving / str(numbers[0] if number is None else number)


def served_as(workspace: Workspace, number: int) -> int | None:
    """Returns the served version if its model is that of version `number`: itself, or brought back by a rollback."""
    newest = pushed_numbers(workspace)[0]
    pushed = Lineage(workspace.metadata).pushed()
    return newest if _origins(newest, pushed)[-1] == _origins(number, pushed)[-1] else None


def rollback(workspace: Workspace, number: int) -> int | None:
    """Makes the model of version `number` the served one, by a copy under the next number.

    Returns the new version; None, and nothing is copied, when that model is served already.

    Raises:
        ConfigError: when there is no such version.
        UserError: when the copy cannot be written.
    """
    folder = find(workspace, number)
    if served_as(workspace, number) is not None:
        return None
    target = workspace.serving / str(pushed_numbers(workspace)[0] + 1)
    _copy_whole(folder, target)
    _record(workspace, number, target)
    return int(target.name)


def _copy_whole(folder: Path, target: Path) -> None:
    """The copy appears at once: TensorFlow Serving, which looks at numbers only, never sees half of it."""
    partial = target.with_name(f"rollback-to-{folder.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)  # of an attempt that was killed
    try:
        shutil.copytree(folder, partial)
        partial.rename(target)
    except (OSError, shutil.Error) as error:
        shutil.rmtree(partial, ignore_errors=True)
        raise UserError(f"{target}: cannot copy version {folder.name} there ({error})") from error


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
    _, *origins = _origins(number, pushed)
    original = str(origins[-1] if origins else number)
    run = pushed[original][1].run if original in pushed else None
    return Version(
        number, workspace.serving / str(number), served, run, _top1(workspace, run), origins[0] if origins else None
    )


def _origins(number: int, pushed: Pushed) -> list[int]:
    """The version itself, that which it brought back, and so on to the one that a run pushed."""
    origins = [number]
    while (name := str(origins[-1])) in pushed and ROLLBACK_OF in pushed[name][0].properties:
        origins.append(int(pushed[name][0].properties[ROLLBACK_OF]))
    return origins


def _top1(workspace: Workspace, run: str | None) -> float | None:
    if not run:
        return None
    try:
        return json.loads(RunFolder(workspace.runs / run).result.read_text())["metrics"].get("top1")
    except FileNotFoundError:
        return None
