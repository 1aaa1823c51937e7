"""Reads a compiled pipeline, and values for its parameters. Imports nothing heavy."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from pipeline.config.kubeflow import require_mounted
from pipeline.config.overrides import override
from pipeline.config.settings import PipelineConfig
from pipeline.config.source import parse_source
from shiftvit.config import suggest
from shiftvit.errors import ConfigError
from shiftvit.files import utf8

Json = dict[str, Any]

MESSAGE_PREFIX = "shiftvit: "  # of the line in a step's log that says how it ended

PARAMETER_TYPES: dict[str, tuple[type, str]] = {  # of KFP: the type of a value, and how to write one
    "STRING": (str, "text"),
    "NUMBER_INTEGER": (int, "a whole number, such as 12"),
    "NUMBER_DOUBLE": (float, "a number, such as 0.5"),
    "BOOLEAN": (bool, "true or false"),
    "LIST": (list, "a list as JSON, such as [1, 2]"),
    "STRUCT": (dict, 'an object as JSON, such as {"a": 1}'),
}


# Parameters of a run that `compile` declares, and the setting that each stands for and whose rules it obeys.
DATA, EPOCHS, PUSH_DESTINATION = "data", "epochs", "push_destination"
_SETTINGS = {DATA: "source", EPOCHS: "train.epochs", PUSH_DESTINATION: "kubeflow.push_destination"}


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
            ConfigError: a parameter is unknown or has no value, or a value has the wrong type or breaks a rule of the
                setting that the parameter stands for.
        """
        values = {}
        for setting in settings:
            name, separator, text = setting.partition("=")
            if not separator:
                raise ConfigError(f"--set-parameter {setting}: expected NAME=VALUE")
            if name not in self.parameters:
                raise ConfigError(f"{self.path}: has no parameter {name}; {suggest(name, self.parameters)}")
            values[name] = _read(text, name, self.parameters[name].get("parameterType"))
            self._check_rules(name, text)
        for name, definition in self.parameters.items():
            if name not in values and "defaultValue" not in definition and not definition.get("isOptional"):
                raise ConfigError(f"{self.path}: parameter {name} has no default: add --set-parameter {name}=VALUE")
        return values

    def check_data(self, values: Json) -> None:
        """Raises ConfigError if the path in `data` is on no volume, where only a rehearsal can read it."""
        _, path = parse_source(values[DATA]) if DATA in values else ("", None)
        if path is not None:
            require_mounted(f"--set-parameter {DATA}", str(path), self._mounts)

    def _check_rules(self, name: str, text: str) -> None:
        if name not in _SETTINGS:
            return
        try:
            override(PipelineConfig(), [f"{_SETTINGS[name]}={text}"])
        except ConfigError as error:
            raise ConfigError(f"--set-parameter {name}={text}: {error}") from error
        if name == PUSH_DESTINATION:
            require_mounted(f"--set-parameter {name}", text, self._mounts)

    @property
    def _mounts(self) -> set[str]:
        """The mount paths of the volumes, which are the same for every step."""
        executors = self.spec.get("deploymentSpec", {}).get("executors", {})
        return {path for executor in executors for path in self.volumes(executor)}


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
