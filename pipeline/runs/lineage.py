"""Reads ML Metadata: what each node of a run did, and what an artifact was made from. Imports no TensorFlow."""

import itertools
import json
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import ml_metadata
from google.protobuf import json_format
from google.protobuf.message import Message
from ml_metadata.proto import metadata_store_pb2 as mlmd

from components.example_gen.source_identity import CLASS_NAMES
from components.serving_folder import PUSHED_VERSION
from pipeline.graph.nodes import PIPELINE_NAME
from pipeline.runs import relocation

PUSHED_MODEL = "PushedModel"
ROLLBACK_OF = "rollback_of"

_PIPELINE, _PIPELINE_RUN, _NODE = "pipeline", "pipeline_run", "node"  # TFX's context types
_BASELINE_INPUT = "baseline_model"  # of the Evaluator: its outputs compare with that model and are not made from it
_BLESSING, _BLESSED, _MODEL_ID = "ModelBlessing", "blessed", "current_model_id"  # TFX's type and properties
_INPUTS = (mlmd.Event.INPUT, mlmd.Event.DECLARED_INPUT)
_OUTPUTS = (mlmd.Event.OUTPUT, mlmd.Event.DECLARED_OUTPUT)
_HYPERPARAMETERS, _HYPERPARAMETERS_FILE = "HyperParameters", "best_hyperparameters.txt"
_INTERNAL = ("name", "state", "tfx_version", "is_external", "split_names", CLASS_NAMES)  # not for people


@dataclass(frozen=True)
class Artifact:
    """An artifact in ML Metadata."""

    id: int
    type: str
    uri: str
    properties: Mapping[str, Any]  # custom ones included

    @property
    def facts(self) -> dict[str, Any]:
        """The properties that mean something to people."""
        return {name: value for name, value in self.properties.items() if name not in _INTERNAL}


@dataclass(frozen=True)
class Execution:
    """What a node did in a run."""

    id: int
    node: str
    run: str
    state: str  # one of ML Metadata's, in lower case
    started: float  # seconds since 1970
    seconds: float  # duration, up to the last update of an unfinished one
    inputs: Mapping[str, tuple[Artifact, ...]]  # by the channel's key
    outputs: Mapping[str, tuple[Artifact, ...]]  # by the channel's key

    @property
    def artifacts(self) -> list[Artifact]:
        """All outputs."""
        return [artifact for group in self.outputs.values() for artifact in group]


@dataclass(frozen=True)
class Step:
    """An artifact in the ancestry of another one, with the execution that first made it."""

    artifact: Artifact
    maker: Execution | None
    sources: tuple[Artifact, ...]  # the maker's inputs
    facts: Mapping[str, Any]  # of the artifact; of HyperParameters, the values too


class Lineage:
    """The ML Metadata store of one workspace."""

    def __init__(self, metadata: Path, writable: bool = False):
        """Does not open the store yet.

        Args:
            metadata: the SQLite file. Without it, a lineage that is not writable reads as empty.
            writable: allows changes, and creates the file.
        """
        self._path, self._writable = metadata, writable

    @cached_property
    def store(self) -> ml_metadata.MetadataStore:
        """The store itself, which must exist unless the lineage is writable."""
        source = mlmd.SqliteMetadataSourceConfig
        mode = source.READWRITE_OPENCREATE if self._writable else source.READONLY
        return ml_metadata.MetadataStore(
            mlmd.ConnectionConfig(sqlite=source(filename_uri=str(self._path), connection_mode=mode))
        )

    def _exists(self) -> bool:
        return self._writable or self._path.exists()

    def executions(self, run: str) -> list[Execution]:
        """Returns the executions of the run with that id, oldest first; an empty list for an unknown run."""
        context = self.store.get_context_by_type_and_name(_PIPELINE_RUN, run) if self._exists() else None
        if context is None:
            return []
        found = self.store.get_executions_by_context(context.id)
        return [self._execution(execution) for execution in sorted(found, key=lambda e: e.id)]

    def deleted_baselines(self) -> list[str]:
        """Returns the folders of blessed models that were deleted, those newer than the newest that is still there."""
        found = self.store.get_artifacts_by_type(_BLESSING) if self._exists() else ()
        blessed = [a.custom_properties for a in found if a.custom_properties[_BLESSED].int_value]
        ids = sorted({properties[_MODEL_ID].int_value for properties in blessed}, reverse=True)
        folders = [self._artifact(model).uri for model in self.store.get_artifacts_by_id(ids)] if ids else []
        return list(itertools.takewhile(lambda folder: not Path(folder).exists(), folders))

    def pushed(self) -> dict[str, tuple[Artifact, Execution]]:
        """Returns the PushedModel of each pushed version, and the execution that pushed it.

        A later run that finds its model pushed already records another PushedModel of that version; the first counts.
        """
        versions: dict[str, tuple[Artifact, Execution]] = {}
        found = self.store.get_artifacts_by_type(PUSHED_MODEL) if self._exists() else ()
        for artifact in sorted(found, key=lambda artifact: artifact.id):
            plain = self._artifact(artifact)
            maker = self._maker(artifact.id)
            if maker is not None and PUSHED_VERSION in plain.properties:
                versions.setdefault(plain.properties[PUSHED_VERSION], (plain, maker))
        return versions

    def walk(self, artifact: Artifact) -> Iterator[Step]:
        """Yields the artifact and its ancestors breadth first, each once."""
        pending, seen = deque([artifact]), {artifact.id}
        while pending:
            current = pending.popleft()
            maker = self._maker(current.id)
            inputs = sorted(maker.inputs.items()) if maker else []
            sources = tuple(source for key, group in inputs if key != _BASELINE_INPUT for source in group)
            yield Step(current, maker, sources, current.facts | _read_hyperparameters(current))
            pending.extend(source for source in sources if source.id not in seen)
            seen.update(source.id for source in sources)

    def pipeline_contexts(self) -> list[mlmd.Context]:
        """Returns the context that all runs of the pipeline share, new if there was no run, for a new execution."""
        context = self.store.get_context_by_type_and_name(_PIPELINE, PIPELINE_NAME)
        if context is None:
            kind = mlmd.ContextType(name=_PIPELINE)
            context = mlmd.Context(type_id=self.store.put_context_type(kind, can_omit_fields=True), name=PIPELINE_NAME)
        return [context]

    def _maker(self, artifact_id: int) -> Execution | None:
        """Returns the first execution that put out the artifact; later ones took it from the cache or resolved it."""
        events = self.store.get_events_by_artifact_ids([artifact_id])
        makers = sorted(event.execution_id for event in events if event.type in _OUTPUTS)
        return self._execution(self.store.get_executions_by_id(makers[:1])[0]) if makers else None

    def _execution(self, execution: mlmd.Execution) -> Execution:
        contexts = {self._context_types[c.type_id]: c.name for c in self.store.get_contexts_by_execution(execution.id)}
        started = execution.create_time_since_epoch / 1000
        return Execution(
            id=execution.id,
            node=contexts.get(_NODE, execution.name).removeprefix(f"{PIPELINE_NAME}."),
            run=contexts.get(_PIPELINE_RUN, ""),
            state=mlmd.Execution.State.Name(execution.last_known_state).lower(),
            started=started,
            seconds=execution.last_update_time_since_epoch / 1000 - started,
            inputs=self._artifacts(execution.id, _INPUTS),
            outputs=self._artifacts(execution.id, _OUTPUTS),
        )

    def _artifacts(self, execution_id: int, types: tuple[int, ...]) -> dict[str, tuple[Artifact, ...]]:
        events = [e for e in self.store.get_events_by_execution_ids([execution_id]) if e.type in types]
        found = {a.id: self._artifact(a) for a in self.store.get_artifacts_by_id([e.artifact_id for e in events])}
        groups: dict[str, tuple[Artifact, ...]] = {}
        for event in events:
            key = next((step.key for step in event.path.steps if step.key), "")
            groups[key] = (*groups.get(key, ()), found[event.artifact_id])
        return groups

    def _artifact(self, artifact: mlmd.Artifact) -> Artifact:
        properties = {
            name: self._plain(getattr(value, value.WhichOneof("value")))
            for group in (artifact.properties, artifact.custom_properties)
            for name, value in group.items()
            if value.WhichOneof("value")
        }
        return Artifact(artifact.id, artifact.type, self._follow(artifact.uri), properties)

    def _plain(self, value: Any) -> Any:
        """Returns a property's value as plain data; ExampleValidator's verdict by split is a protocol buffer."""
        if isinstance(value, Message):
            return json_format.MessageToDict(value)
        return self._follow(value) if isinstance(value, str) else value

    @cached_property
    def _follow(self) -> Callable[[str], str]:
        return relocation.follower(self._path)

    @cached_property
    def _context_types(self) -> dict[int, str]:
        return {kind.id: kind.name for kind in self.store.get_context_types()}


def _read_hyperparameters(artifact: Artifact) -> dict[str, Any]:
    """Returns the Tuner's best values; an empty dict for other artifacts, and if the file was deleted."""
    if artifact.type != _HYPERPARAMETERS:
        return {}
    try:
        return json.loads((Path(artifact.uri) / _HYPERPARAMETERS_FILE).read_text(encoding="utf-8"))["values"]
    except FileNotFoundError:
        return {}
