"""Makes the keys of TFX's cache independent of where the workspace is, so that it may move or be copied.

TFX adds the absolute paths of inputs and parameters to a key, and offers no place to change that.
"""

import contextlib
import copy
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from tfx.orchestration.portable import cache_utils
from tfx.types import Artifact

from pipeline.runs.relocation import moved

_ANYWHERE = "/workspace"


@contextlib.contextmanager
def independent_of(root: Path) -> Iterator[None]:
    """For the block, keys are those of the same workspace at one fixed place. Not for several threads.

    Args:
        root: the absolute path of the workspace, as in the URIs of its artifacts.
    """
    original = cache_utils.get_cache_context

    def get_cache_context(
        *args: Any,
        input_artifacts: Mapping[str, Sequence[Artifact]] | None = None,
        parameters: Mapping[str, Any] | None = None,
        **further: Any,
    ) -> Any:
        inputs = {key: [_artifact(each, str(root)) for each in group] for key, group in (input_artifacts or {}).items()}
        texts = {key: moved(str(value), str(root), _ANYWHERE) for key, value in (parameters or {}).items()}
        return original(*args, input_artifacts=inputs, parameters=texts, **further)

    cache_utils.get_cache_context = get_cache_context
    try:
        yield
    finally:
        cache_utils.get_cache_context = original


def _artifact(artifact: Artifact, root: str) -> Artifact:
    """Returns a copy whose paths are those of another place."""
    anywhere = copy.deepcopy(artifact)
    anywhere.uri = moved(artifact.uri, root, _ANYWHERE)
    for properties in (anywhere.mlmd_artifact.properties, anywhere.mlmd_artifact.custom_properties):
        for value in properties.values():
            if value.HasField("string_value"):
                value.string_value = moved(value.string_value, root, _ANYWHERE)
    return anywhere
