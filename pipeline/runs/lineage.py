"""Reads ML Metadata: what each component of a run did, and what an artifact was made from. Imports no TensorFlow."""

import json
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import ml_metadata
from ml_metadata.proto import metadata_store_pb2 as mlmd

from pipeline.graph.nodes import PIPELINE_NAME

PUSHED_MODEL = "PushedModel"
PUSHED_VERSION, PUSHED_DESTINATION = "pushed_version", "pushed_destination"  # as TFX's Pusher names them
ROLLBACK_OF = "rollback_of"

_PIPELINE, _PIPELINE_RUN, _NODE = "pipeline", "pipeline_run", "node"  # TFX's context types
_BASELINE_INPUT = "baseline_model"  # of the Evaluator: compared with, not made from
_INPUTS = (mlmd.Event.INPUT, mlmd.Event.DECLARED_INPUT)
_OUTPUTS = (mlmd.Event.OUTPUT, mlmd.Event.DECLARED_OUTPUT)
_HYPERPARAMETERS_FILE = "best_hyperparameters.txt"


@dataclass(frozen=True)
class Artifact:
    """A thing that a component made."""

    id: int
    type: str
    uri: str
    properties: Mapping[str, Any]


@dataclass(frozen=True)
class Execution:
    """What a component did in a run; state is one of ML Metadata's, in lower case."""

    id: int
    node: str
    run: str
    state: str
    started: float  # seconds since 1970
    seconds: float  # how long it took, or until it was last heard of
    inputs: Mapping[str, tuple[Artifact, ...]]
    outputs: Mapping[str, tuple[Artifact, ...]]


@dataclass(frozen=True)
class Step:
    """An artifact on the way back from a model, and the execution that first made it."""

    artifact: Artifact
    maker: Execution | None
    sources: tuple[Artifact, ...]  # the maker's inputs


class Lineage:
    """The ML Metadata store of one workspace."""

    def __init__(self, metadata: Path, writable: bool = False):
        """Opens the store; one that does not exist reads as empty, and is made where `writable`."""
        self._path, self._writable = metadata, writable
        self._store: ml_metadata.MetadataStore | None = None

    @property
    def store(self) -> ml_metadata.MetadataStore | None:
        """The store itself; None for as long as there is none to read."""
        if self._store is None and (self._writable or self._path.exists()):
            source = mlmd.SqliteMetadataSourceConfig
            mode = source.READWRITE_OPENCREATE if self._writable else source.READONLY
            self._store = ml_metadata.MetadataStore(
                mlmd.ConnectionConfig(sqlite=source(filename_uri=str(self._path), connection_mode=mode))
            )
        return self._store

    def executions(self, run: str) -> list[Execution]:
        """Returns what ran in the run of that id, in order; none when ML Metadata knows no such run."""
        context = self.store and self.store.get_context_by_type_and_name(_PIPELINE_RUN, run)
        if not context:
            return []
        found = self.store.get_executions_by_context(context.id)
        return [self._execution(execution) for execution in sorted(found, key=lambda e: e.id)]

    def pushed(self) -> dict[str, tuple[Artifact, Execution]]:
        """Returns the pushed versions, each with its PushedModel and the execution that pushed it.

        A run that finds its model pushed already has a PushedModel of that version too: the first is what counts.
        """
        versions: dict[str, tuple[Artifact, Execution]] = {}
        found = self.store.get_artifacts_by_type(PUSHED_MODEL) if self.store else ()
        for artifact in sorted(found, key=lambda artifact: artifact.id):
            plain = _artifact(artifact)
            maker = self._maker(artifact.id)
            if maker is not None and PUSHED_VERSION in plain.properties:
                versions.setdefault(plain.properties[PUSHED_VERSION], (plain, maker))
        return versions

    def walk(self, artifact: Artifact) -> Iterator[Step]:
        """Yields the artifact and all that it was made from, each once, the nearest first."""
        pending, seen = deque([artifact]), {artifact.id}
        while pending:
            current = pending.popleft()
            maker = self._maker(current.id)
            groups = (
                ()
                if maker is None
                else (group for key, group in sorted(maker.inputs.items()) if key != _BASELINE_INPUT)
            )
            sources = tuple(source for group in groups for source in group)
            yield Step(current, maker, sources)
            pending.extend(source for source in sources if source.id not in seen)
            seen.update(source.id for source in sources)

    def pipeline_contexts(self) -> list[mlmd.Context]:
        """Returns the context of all runs of the pipeline, for an execution to join; a new one where none has run."""
        context = self.store.get_context_by_type_and_name(_PIPELINE, PIPELINE_NAME)
        if context is None:
            kind = mlmd.ContextType(name=_PIPELINE)
            context = mlmd.Context(type_id=self.store.put_context_type(kind, can_omit_fields=True), name=PIPELINE_NAME)
        return [context]

    def _maker(self, artifact_id: int) -> Execution | None:
        """The first execution that put it out: later ones only reused it, from the cache or through a resolver."""
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

    def _artifacts(self, execution_id: int, types: tuple) -> dict[str, tuple[Artifact, ...]]:
        events = [e for e in self.store.get_events_by_execution_ids([execution_id]) if e.type in types]
        found = {a.id: _artifact(a) for a in self.store.get_artifacts_by_id([e.artifact_id for e in events])}
        groups: dict[str, tuple[Artifact, ...]] = {}
        for event in events:
            key = next((step.key for step in event.path.steps if step.key), "")
            groups[key] = (*groups.get(key, ()), found[event.artifact_id])
        return groups

    @cached_property
    def _context_types(self) -> dict[int, str]:
        return {kind.id: kind.name for kind in self.store.get_context_types()}


def hyperparameters(artifact: Artifact) -> dict[str, Any]:
    """Returns the values that the Tuner found best; empty when the file is gone."""
    try:
        return json.loads((Path(artifact.uri) / _HYPERPARAMETERS_FILE).read_text())["values"]
    except FileNotFoundError:
        return {}


def _artifact(artifact: mlmd.Artifact) -> Artifact:
    properties = {
        name: getattr(value, value.WhichOneof("value"))
        for group in (artifact.properties, artifact.custom_properties)
        for name, value in group.items()
        if value.WhichOneof("value")
    }
    return Artifact(artifact.id, artifact.type, artifact.uri, properties)
