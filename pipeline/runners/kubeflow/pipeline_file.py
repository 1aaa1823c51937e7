"""Reads a compiled pipeline, and values for its parameters. Imports nothing heavy."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from shiftvit.config import suggest
from shiftvit.errors import ConfigError
from shiftvit.files import utf8

Json = dict[str, Any]

PARAMETER_TYPES: dict[str, tuple[type, str]] = {  # of KFP: the type of a value, and how to write one
    "STRING": (str, "text"),
    "NUMBER_INTEGER": (int, "a whole number, such as 12"),
    "NUMBER_DOUBLE": (float, "a number, such as 0.5"),
    "BOOLEAN": (bool, "true or false"),
    "LIST": (list, "a list as JSON, such as [1, 2]"),
    "STRUCT": (dict, 'an object as JSON, such as {"a": 1}'),
}


@dataclass(frozen=True)
class PipelineFile:
    """A compiled pipeline."""

    path: Path
    content: bytes
    spec: Json  # the PipelineSpec
    platforms: tuple[Json, ...] = ()  # settings of the platform; KFP takes at most one document

    @property
    def name(self) -> str:
        """Name of the pipeline."""
        return self.spec["pipelineInfo"]["name"]

    @property
    def tasks(self) -> set[str]:
        """Names of the graph's tasks."""
        return set(self.spec["root"].get("dag", {}).get("tasks", {}))

    @property
    def parameters(self) -> Json:
        """Definition of each parameter of the pipeline: parameterType, defaultValue, isOptional."""
        return self.spec["root"].get("inputDefinitions", {}).get("parameters", {})

    def volumes(self, executor: str) -> dict[str, str]:
        """Returns the claims that the executor mounts, by mount path."""
        mounts: dict[str, str] = {}
        for document in self.platforms:
            executors = document["platforms"].get("kubernetes", {}).get("deploymentSpec", {}).get("executors", {})
            for mount in executors.get(executor, {}).get("pvcMount", []):
                mounts[mount["mountPath"]] = mount["constant"]
        return mounts

    def read_parameters(self, settings: Iterable[str]) -> Json:
        """Returns the values of NAME=VALUE settings, converted to the types of the parameters.

        Raises:
            ConfigError: a parameter is unknown, a value has the wrong type, or a required parameter has no value.
        """
        values = {}
        for setting in settings:
            name, separator, text = setting.partition("=")
            if not separator:
                raise ConfigError(f"--set-parameter {setting}: expected NAME=VALUE")
            if name not in self.parameters:
                raise ConfigError(f"{self.path}: has no parameter {name}; {suggest(name, self.parameters)}")
            values[name] = _read(text, name, self.parameters[name].get("parameterType"))
        for name, definition in self.parameters.items():
            if name not in values and "defaultValue" not in definition and not definition.get("isOptional"):
                raise ConfigError(f"{self.path}: parameter {name} has no default: add --set-parameter {name}=VALUE")
        return values


def load(path: Path) -> PipelineFile:
    """Reads a compiled pipeline: a PipelineSpec, optionally followed by a document for the platform.

    Raises:
        ConfigError: the file cannot be read or is not a compiled pipeline.
    """
    try:
        content = path.read_bytes()
        documents = [
            document for document in yaml.safe_load_all(utf8.decode(content, path, ConfigError)) if document is not None
        ]
    except OSError as error:
        raise ConfigError(f"{path}: cannot read the compiled pipeline ({error.strerror})") from error
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        place = f" (line {mark.line + 1})" if mark else ""
        raise ConfigError(f"{path}: not a compiled pipeline: not YAML{place}") from error
    match documents:
        case [{"pipelineInfo": {"name": str()}, "root": dict()}, *platforms] if all(map(_is_platform, platforms)):
            return PipelineFile(path, content, documents[0], tuple(platforms))
    raise ConfigError(f"{path}: not a compiled pipeline; `shiftvit kubeflow compile` writes one")


def _is_platform(document: Any) -> bool:
    return isinstance(document, dict) and isinstance(document.get("platforms"), dict)


def _read(text: str, name: str, kind: str | None) -> Any:
    if kind not in PARAMETER_TYPES:
        raise ConfigError(f"--set-parameter {name}: has the type {kind}, which cannot be set on the command line")
    expected, example = PARAMETER_TYPES[kind]
    try:
        value = expected(text) if expected in (str, int, float) else json.loads(text)
        json.dumps(value, allow_nan=False)  # JSON has no NaN and no infinity
    except ValueError:
        value = None
    if type(value) is not expected:
        raise ConfigError(f"--set-parameter {name}={text}: expected {example}")
    return value
