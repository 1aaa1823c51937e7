"""Artifacts and contexts for a component's executor, as TFX's launcher would hand them over."""

from pathlib import Path

from tfx.dsl.components.base.base_executor import BaseExecutor
from tfx.types import Artifact, artifact_utils, standard_artifacts


def artifact(kind: type[Artifact], folder: Path) -> Artifact:
    """Returns an artifact that lies, or will lie, in `folder`."""
    made = kind()
    made.uri = str(folder)
    return made


def examples(folder: Path, splits=("train", "eval", "test")) -> Artifact:
    """Returns the Examples artifact in `folder`."""
    made = artifact(standard_artifacts.Examples, folder)
    made.split_names = artifact_utils.encode_split_names(list(splits))
    return made


def context(folder: Path) -> BaseExecutor.Context:
    """Returns the context of an execution whose temporary files go to `folder`."""
    return BaseExecutor.Context(tmp_dir=str(folder), unique_id="1")
