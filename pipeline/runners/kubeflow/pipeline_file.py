"""A compiled pipeline as a file, and the values of its parameters. Imports nothing heavy."""

import json
import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from shiftvit.config import suggest
from shiftvit.errors import ConfigError


@dataclass(frozen=True)
class PipelineFile:
    """What `load` read."""

    path: Path
    content: bytes
    spec: dict[str, Any]  # the PipelineSpec
    platforms: tuple[dict[str, Any], ...] = ()  # what is for the platform: at most one document, says KFP

    @property
    def name(self) -> str:
        """The pipeline's."""
        return self.spec["pipelineInfo"]["name"]

    @property
    def tasks(self) -> set[str]:
        """The names of the graph's tasks."""
        return set(self.spec["root"].get("dag", {}).get("tasks", {}))

    @property
    def parameters(self) -> dict[str, dict[str, Any]]:
        """What the file says of each parameter of the pipeline: parameterType, defaultValue, isOptional."""
        return self.spec["root"].get("inputDefinitions", {}).get("parameters", {})

    def volumes(self, executor: str) -> dict[str, str]:
        """Returns the claims that the executor has mounted, by the path they are mounted at."""
        mounts: dict[str, str] = {}
        for document in self.platforms:
            executors = document["platforms"].get("kubernetes", {}).get("deploymentSpec", {}).get("executors", {})
            for mount in executors.get(executor, {}).get("pvcMount", []):
                mounts[mount["mountPath"]] = mount["constant"]
        return mounts

    def read_parameters(self, settings: Iterable[str]) -> dict[str, Any]:
        """Returns the values that KEY=VALUE settings give, each of the type that the file says.

        Raises:
            ConfigError: for an unknown parameter, a value that does not fit, or a parameter that has none.
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
                raise ConfigError(
                    f"{self.path}: parameter {name} has no default; --set-parameter {name}=VALUE gives one"
                )
        return values


def load(path: Path) -> PipelineFile:
    """Reads a compiled pipeline: a PipelineSpec, and after it what is for the platform, if anything.

    Raises:
        ConfigError: when the file is missing or holds something else.
    """
    try:
        content = path.read_bytes()
        documents = list(yaml.safe_load_all(content.decode()))
    except OSError as error:
        raise ConfigError(f"{path}: cannot read the compiled pipeline ({error.strerror})") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: not a compiled pipeline, for it is no text") from error
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        place = f" (line {mark.line + 1})" if mark else ""
        raise ConfigError(f"{path}: not a compiled pipeline, for it is no YAML{place}") from error
    if not (documents and _is_pipeline_spec(documents[0]) and all(map(_is_platform_spec, documents[1:]))):
        raise ConfigError(f"{path}: not a compiled pipeline; `shiftvit kubeflow compile` writes one")
    return PipelineFile(path, content, documents[0], tuple(filter(None, documents[1:])))


def _is_pipeline_spec(document: Any) -> bool:
    return (
        _has_table(document, "pipelineInfo")
        and isinstance(document["pipelineInfo"].get("name"), str)
        and _has_table(document, "root")
    )


def _is_platform_spec(document: Any) -> bool:
    return document is None or _has_table(document, "platforms")


def _has_table(document: Any, key: str) -> bool:
    return isinstance(document, dict) and isinstance(document.get(key), dict)


def _read(text: str, name: str, kind: str | None) -> Any:
    if kind not in _TYPES:
        raise ConfigError(f"--set-parameter {name}: is of type {kind}, which no text can give")
    read, example = _TYPES[kind]
    try:
        return read(text)
    except (ValueError, KeyError) as error:
        raise ConfigError(f"--set-parameter {name}={text}: expected {example}") from error


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):  # JSON has no other numbers
        raise ValueError(text)
    return value


def _json(kind: type) -> Callable[[str], Any]:
    def read(text: str) -> Any:
        value = json.loads(text, parse_constant=_finite)
        if not isinstance(value, kind):
            raise ValueError(text)
        return value

    return read


_TYPES: dict[str, tuple[Callable[[str], Any], str]] = {
    "STRING": (str, "a text"),
    "NUMBER_INTEGER": (int, "a whole number, such as 12"),
    "NUMBER_DOUBLE": (_finite, "a number, such as 0.5"),
    "BOOLEAN": ({"true": True, "false": False}.__getitem__, "true or false"),
    "LIST": (_json(list), "a list as JSON, such as [1, 2]"),
    "STRUCT": (_json(dict), 'an object as JSON, such as {"a": 1}'),
}
