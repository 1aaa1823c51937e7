"""Artifacts and contexts to run a component's executor with, as TFX's launcher does."""

from pathlib import Path

from tfx.dsl.components.base.base_executor import BaseExecutor
from tfx.types import Artifact, artifact_utils, standard_artifacts


def artifact(kind: type[Artifact], folder: Path) -> Artifact:
    """Returns an artifact with this folder, which need not exist yet."""
    made = kind()
    made.uri = str(folder)
    return made


def examples(folder: Path, splits=("train", "eval", "test")) -> Artifact:
    """Returns the Examples artifact in `folder`."""
    made = artifact(standard_artifacts.Examples, folder)
    made.split_names = artifact_utils.encode_split_names(list(splits))
    return made


def context(folder: Path) -> BaseExecutor.Context:
    """Returns an execution context whose temporary files go to `folder`."""
    return BaseExecutor.Context(tmp_dir=str(folder), unique_id="1")
