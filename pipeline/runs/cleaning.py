"""What a workspace no longer needs: what killed processes left, prepared data that no run used, and equal copies.

Nothing that a run from the cache, `show`, `compare`, `rollback` or `serve` reads is here. Imports no TensorFlow.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ml_metadata.proto import metadata_store_pb2 as mlmd

from pipeline.graph.fingerprint import graph_fingerprint
from pipeline.runs.lineage import Lineage
from pipeline.runs.workspace import Workspace
from shiftvit.files import atomic, copies, disk, states

_INCOMPLETE = (mlmd.Artifact.PENDING, mlmd.Artifact.ABANDONED, mlmd.Artifact.DELETED)
_TEMPORARY = ".system"  # TFX's folder in that of each node


@dataclass(frozen=True)
class Leftover:
    """A file or folder that can go."""

    path: Path
    what: str
    bytes: int
    original: Path | None = None  # of an equal copy: the file whose place on the disk it can share

    def remove(self) -> bool:
        """Removes it, or its own place on the disk; returns False if a process holds it or it is gone.

        Raises:
            OSError: if it cannot be removed.
        """
        try:
            if self.original is None:
                return atomic.remove(self.path)
            atomic.link(self.original, self.path)
        except FileNotFoundError:
            return False
        return True


def find(workspace: Workspace) -> list[Leftover]:
    """Returns what can go. Call it, and `Leftover.remove`, while the workspace is locked."""
    found = dict.fromkeys(atomic.leftovers(workspace.root), "unfinished, of a killed process")
    found |= dict.fromkeys(_states(workspace), "state of earlier code, not resumed any more")
    complete = {each.folder for each in states.finished(workspace.training) if each.folder.parent not in found}
    found |= dict.fromkeys(complete, "state of a complete training")
    if workspace.metadata.exists():  # without it, others use what is here, such as a cluster
        artifacts, executions = _recorded(workspace)
        found |= {path: "output of a failed step" for path in _outputs(workspace) if path not in artifacts}
        found |= dict.fromkeys(workspace.artifacts.glob(f"*/{_TEMPORARY}/*/*"), "temporary, of a step that ended")
        found |= {path: "prepared data that no run used" for path in _sources(workspace) if path not in executions}
    leftovers = [Leftover(path, what, _size(path)) for path, what in found.items()]
    for copy, original in copies.find(workspace.sources):
        if not {copy.parent, original.parent} & found.keys():
            leftovers.append(Leftover(copy, f"equal to {original}, shares its place", _size(copy), original))
    return sorted((each for each in leftovers if each.bytes), key=lambda each: -each.bytes)


def _size(path: Path) -> int:
    return disk.folder_size(path) if path.is_dir() else path.stat().st_size


def _states(workspace: Workspace) -> Iterator[Path]:
    """Yields the folders of trainings and searches of other code; their names start with the code's fingerprint."""
    code = graph_fingerprint()
    for root in (workspace.training, workspace.tuning):
        yield from (path for path in root.glob("*") if path.is_dir() and not path.name.startswith(code))


def _outputs(workspace: Workspace) -> Iterator[Path]:
    for path in workspace.artifacts.glob("*/*/*"):
        if path.name.isdigit() and path.parent.name != _TEMPORARY:
            yield path


def _sources(workspace: Workspace) -> Iterator[Path]:
    yield from (path for path in workspace.sources.glob("*") if not path.name.startswith("."))


def _recorded(workspace: Workspace) -> tuple[set[Path], set[Path]]:
    """Returns the folders of complete artifacts, and those of the prepared data that executions read."""
    store, place = Lineage(workspace.metadata).store, workspace.root.resolve()

    def here(path: str) -> Path:
        return workspace.root / Path(path).relative_to(place) if Path(path).is_relative_to(place) else Path(path)

    artifacts = {here(each.uri) for each in store.get_artifacts() if each.state not in _INCOMPLETE}
    values = (each.custom_properties.get("input_base") for each in store.get_executions())
    return artifacts, {here(value.string_value) for value in values if value}
