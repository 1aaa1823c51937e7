"""TFX's StatisticsGen and Evaluator for folders of any name: what they call TensorFlow and Beam with is no pattern."""

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tfx.components.evaluator import component as evaluator
from tfx.components.evaluator import executor as evaluator_executor
from tfx.components.statistics_gen import component as statistics_gen
from tfx.components.statistics_gen import executor as statistics_gen_executor
from tfx.dsl.components.base.executor_spec import BeamExecutorSpec
from tfx.types import Artifact
from tfx.utils.typing_utils import ArtifactMultiDict

from shiftvit.files import paths

_SETTINGS_FILE = "eval_config.json"  # in which TFMA keeps the paths of the models and the data


class StatisticsGenExecutor(statistics_gen_executor.Executor):
    """TFX's executor, with URIs that are no patterns."""

    def Do(
        self, input_dict: ArtifactMultiDict, output_dict: ArtifactMultiDict, exec_properties: dict[str, Any]
    ) -> None:
        with _plain_uris(input_dict, output_dict):
            super().Do(input_dict, output_dict, exec_properties)


class EvaluatorExecutor(evaluator_executor.Executor):
    """TFX's executor, with URIs that are no patterns."""

    def Do(
        self, input_dict: ArtifactMultiDict, output_dict: ArtifactMultiDict, exec_properties: dict[str, Any]
    ) -> None:
        with _plain_uris(input_dict, output_dict):
            super().Do(input_dict, output_dict, exec_properties)


class StatisticsGen(statistics_gen.StatisticsGen):
    """TFX's StatisticsGen with our executor."""

    EXECUTOR_SPEC = BeamExecutorSpec(StatisticsGenExecutor)


class Evaluator(evaluator.Evaluator):
    """TFX's Evaluator with our executor."""

    EXECUTOR_SPEC = BeamExecutorSpec(EvaluatorExecutor)


@contextlib.contextmanager
def _plain_uris(*artifacts: ArtifactMultiDict) -> Iterator[None]:
    """Gives all artifacts plain URIs for a while; what was written meanwhile has their own ones."""
    uris = [(artifact, artifact.uri) for by_key in artifacts for group in by_key.values() for artifact in group]
    for artifact, uri in uris:
        artifact.uri = paths.plain(uri)
    try:
        yield
    finally:
        for artifact, uri in uris:
            if artifact.uri != uri:
                artifact.uri = uri
                _restore_names(artifact)


def _restore_names(artifact: Artifact) -> None:
    """Writes the real names into the artifact's properties and into TFMA's settings."""
    for value in artifact.mlmd_artifact.custom_properties.values():
        if value.HasField("string_value"):
            value.string_value = paths.real(value.string_value)
    file = Path(artifact.uri, _SETTINGS_FILE)
    if file.exists():
        settings = json.loads(file.read_text(encoding="utf-8"), object_hook=_with_real_names)
        file.write_text(json.dumps(settings), encoding="utf-8")


def _with_real_names(values: dict[str, Any]) -> dict[str, Any]:
    return {key: paths.real(value) if isinstance(value, str) else value for key, value in values.items()}
