"""Imitates what a KFP cluster does with one step: driver, launcher, object store and metadata store.

It follows KFP 2 wherever a step can notice a difference: the object store keeps files but no empty folders, an input
has no type, an output for the log is added, metadata returns ints and bools as floats, and a null in it is rejected.
The one difference is /: a step gets a folder of its own in its place, which is removed when the step ends.
"""

import itertools
import json
import os
import re
import shutil
import subprocess
import sys
import uuid
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from google.protobuf import json_format
from kfp.pipeline_spec import pipeline_spec_pb2

import pipeline
from pipeline.runners.kubeflow import entrypoint
from pipeline.runners.kubeflow.pipeline_file import Json
from shiftvit import processes
from shiftvit.errors import ConfigError, UserError, one_line

LOGS = "executor-logs"  # the output that the driver adds
_PIPELINE_ROOT = "minio://mlpipeline/v2/artifacts"
_CONDITION = re.compile(r"inputs\.parameter_values\['(?P<name>[^']+)'\] == (?P<value>true|false)")
_KNOWN_CONDITION = "inputs.parameter_values['NAME'] == true, or false"
_GRACE = 10.0  # seconds between terminating a step and killing it


@dataclass(frozen=True)
class Cluster:
    """The folder that stands for a cluster, in one run.

    `bucket/` and `volumes/<claim>/` outlive the run. `logs/<run>/` has the output of each step, and `steps/<run>/` the
    folder of each running one.
    """

    folder: Path
    run: str
    pipeline_name: str
    parameters: Json  # values of all parameters of the run
    _ids: itertools.count = field(default_factory=lambda: itertools.count(1))

    def upload(self, local: Path, uri: str) -> None:
        """Copies a file, or the files below a folder, into the bucket."""
        files = [local] if local.is_file() else [file for file in local.rglob("*") if file.is_file()]
        for file in files:
            _copy(file, self.stored(uri) / file.relative_to(local))

    def download(self, uri: str, local: Path) -> None:
        """Copies the file at `uri`, or the files below it, out of the bucket. Copies nothing if there are none."""
        source = self.stored(uri)
        if source.is_file():
            _copy(source, local)
        elif source.is_dir():
            shutil.copytree(source, local, dirs_exist_ok=True)  # an artifact may be the input of a step twice

    def stored(self, uri: str) -> Path:
        """Returns the path in the bucket that stands for `uri`."""
        return self.folder / "bucket" / uri.partition("://")[2]

    def record(self, name: str, uri: str, metadata: Json) -> Json:
        """Returns an artifact as later steps read it from the metadata store.

        Raises:
            UserError: the metadata contains a null.
        """
        recorded = {key: _recorded(name, key, value) for key, value in metadata.items()}
        return {"name": str(next(self._ids)), "uri": uri, "metadata": {"display_name": name} | recorded}


def _copy(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, target)


def _recorded(artifact: str, key: str, value: Any) -> Any:
    if value is None:
        raise UserError(f"output {artifact}: the metadata {key} is null, which KFP's launcher rejects")
    if isinstance(value, bool | int | float):
        return float(value)
    return {"list": value} if isinstance(value, list) else {"struct": value} if isinstance(value, dict) else value


class Step:
    """One task of the compiled pipeline, run once."""

    def __init__(
        self, name: str, task: Json, component: Json, container: Json, volumes: dict[str, str], cluster: Cluster
    ):
        self.name = name
        self.log = cluster.folder / "logs" / cluster.run / f"{name}.log"
        self._task, self._component, self._container, self._cluster = task, component, container, cluster
        self._volumes = volumes  # claims by mount path
        self._folder = cluster.folder / "steps" / cluster.run / name
        self._input: Json = {}
        self._process: subprocess.Popen | None = None

    def is_triggered(self, produced: dict[str, dict[str, Json]]) -> bool:
        """Returns whether the condition of the task, if any, lets it run after the completed tasks."""
        condition = self._task.get("triggerPolicy", {}).get("condition")
        if not condition:
            return True
        compared = _CONDITION.fullmatch(condition)
        if compared is None:
            raise ConfigError(
                f"task {self.name}: a rehearsal knows no condition but {_KNOWN_CONDITION}, not {condition}"
            )
        value = self._read(produced)["parameterValues"][compared["name"]]
        return value is (compared["value"] == "true")

    def start(self, produced: dict[str, dict[str, Json]]) -> None:
        """Downloads what the step reads and starts its command.

        Called again after `remove`, it repeats the step as a retry on a cluster does: with the same output URIs.

        Args:
            produced: recorded outputs of the completed tasks, by task and output.
        """
        self._input = self._input or {"inputs": self._read(produced), "outputs": self._provision()}
        outputs = self._input["outputs"]
        for holder in (outputs, *outputs["parameters"].values()):
            Path(holder["outputFile"]).parent.mkdir(parents=True, exist_ok=True)
        for _, artifact in entrypoint.artifacts(self._input["inputs"]):
            local = self._local(artifact["uri"])
            if local is not None:
                self._cluster.download(artifact["uri"], local)
        self._mount()
        self.log.parent.mkdir(parents=True, exist_ok=True)
        with self.log.open("wb") as log:
            self._process = subprocess.Popen(
                self._command(),
                cwd=self._folder,
                env=self._environment(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def poll(self) -> int | None:
        """Returns the exit status of the command, or None while it runs."""
        return self._process.poll() if self._process else None

    def finish(self) -> dict[str, Json]:
        """Uploads the outputs of the step, and returns them as recorded in the metadata store.

        Raises:
            UserError: the launcher would reject what the step reports.
        """
        reported = self._reported()
        artifacts = dict(entrypoint.artifacts(reported))
        recorded = {}
        for name, provisioned in entrypoint.artifacts(self._input["outputs"]):
            written = artifacts.get(name, {})
            uri = written.get("uri") or provisioned["uri"]
            local = self.log if name == LOGS else self._local(uri)
            if local is not None:
                self._cluster.upload(local, uri)
            metadata = provisioned["metadata"] | written.get("metadata", {})
            recorded[name] = self._cluster.record(name, uri, metadata)
        for name, parameter in self._input["outputs"]["parameters"].items():
            recorded[name] = {"value": self._output_value(name, Path(parameter["outputFile"]), reported)}
        return recorded

    def remove(self) -> None:
        """Stops the command and its children if it still runs, and removes the step's folder."""
        if self._process is not None:
            processes.stop(self._process, _GRACE, group=True)
        shutil.rmtree(self._folder, ignore_errors=True)

    def _mount(self) -> None:
        for path, claim in self._volumes.items():
            volume, mount = self._cluster.folder / "volumes" / claim, self._folder / path.strip("/")
            volume.mkdir(parents=True, exist_ok=True)
            mount.parent.mkdir(parents=True, exist_ok=True)
            mount.symlink_to(volume)

    def _read(self, produced: dict[str, dict[str, Json]]) -> Json:
        declared = self._component.get("inputDefinitions", {}).get("parameters", {})
        defaults = {name: spec["defaultValue"] for name, spec in declared.items() if "defaultValue" in spec}
        inputs = self._task.get("inputs", {})
        given = {name: self._value(source, produced) for name, source in inputs.get("parameters", {}).items()}
        sources = {name: source["taskOutputArtifact"] for name, source in inputs.get("artifacts", {}).items()}
        read = {name: produced[it["producerTask"]][it["outputArtifactKey"]] for name, it in sources.items()}
        return {"parameterValues": defaults | given, "artifacts": entrypoint.listed(read)}

    def _value(self, source: Json, produced: dict[str, dict[str, Json]]) -> Any:
        if "componentInputParameter" in source:
            value = self._cluster.parameters[source["componentInputParameter"]]
        elif "taskOutputParameter" in source:
            output = source["taskOutputParameter"]
            value = produced[output["producerTask"]][output["outputParameterKey"]]["value"]
        else:
            value = source["runtimeValue"]["constant"]
        return float(value) if isinstance(value, int) and not isinstance(value, bool) else value

    def _provision(self) -> Json:
        root = f"{_PIPELINE_ROOT}/{self._cluster.pipeline_name}/{self._cluster.run}/{self.name}/{uuid.uuid4()}"
        folder = self._local(root)
        assert folder is not None, "the launcher copies what is at minio://"
        declared = self._component.get("outputDefinitions", {}).get("artifacts", {})
        written = {}
        for name, spec in (declared | {LOGS: {"artifactType": {"schemaTitle": "system.Artifact"}}}).items():
            metadata = spec.get("metadata", {})
            written[name] = {"name": name, "uri": f"{root}/{name}", "type": spec["artifactType"], "metadata": metadata}
        declared = self._component.get("outputDefinitions", {}).get("parameters", {})
        files = {name: {"outputFile": str(self._folder / "tmp/kfp/outputs" / name)} for name in declared}
        report = str(folder / "output_metadata.json")
        return {"artifacts": entrypoint.listed(written), "parameters": files, "outputFile": report}

    def _local(self, uri: str) -> Path | None:
        path = entrypoint.local_path(uri, str(self._folder))
        return None if path is None else Path(path)

    def _command(self) -> list[str]:
        values = self._placeholders()
        command = []
        for argument in [*self._container["command"], *self._container.get("args", [])]:
            for placeholder, value in values.items():
                argument = argument.replace(placeholder, value)
            command.append(argument)
        return [sys.executable if command[0] == "python" else command[0], *command[1:]]

    def _placeholders(self) -> dict[str, str]:
        values = {"{{$}}": json.dumps(self._input)}
        for side in ("inputs", "outputs"):
            for name, artifact in entrypoint.artifacts(self._input[side]):
                uri = artifact["uri"]
                values[f"{{{{$.{side}.artifacts['{name}'].uri}}}}"] = uri
                values[f"{{{{$.{side}.artifacts['{name}'].path}}}}"] = str(self._local(uri) or uri)
        for name, value in self._input["inputs"]["parameterValues"].items():
            plain = int(value) if isinstance(value, float) and value.is_integer() else value
            values[f"{{{{$.inputs.parameters['{name}']}}}}"] = plain if isinstance(plain, str) else json.dumps(plain)
        for name, parameter in self._input["outputs"]["parameters"].items():
            values[f"{{{{$.outputs.parameters['{name}'].output_file}}}}"] = parameter["outputFile"]
        return values

    def _environment(self) -> dict[str, str]:
        project = str(Path(pipeline.__file__).parents[1])
        path = os.pathsep.join(filter(None, [project, os.environ.get("PYTHONPATH")]))
        declared = {variable["name"]: variable["value"] for variable in self._container.get("env", [])}
        return {**os.environ, **declared, "PYTHONPATH": path, entrypoint.LOCAL_ROOT: str(self._folder)}

    def _reported(self) -> Json:
        """Returns the ExecutorOutput, parsed as strictly as the launcher does; {} without a file."""
        file = Path(self._input["outputs"]["outputFile"])
        text = file.read_text(encoding="utf-8") if file.exists() else "{}"
        try:
            json_format.Parse(text, pipeline_spec_pb2.ExecutorOutput())
        except json_format.ParseError as error:
            raise UserError(f"KFP's launcher rejects what the step reports ({one_line(error)})") from error
        return json.loads(text)

    def _output_value(self, name: str, file: Path, reported: Json) -> Any:
        """Returns the value of an output parameter, from the ExecutorOutput or else from the file for it."""
        if name in reported.get("parameterValues", {}):
            return reported["parameterValues"][name]
        if not file.exists():
            raise UserError(f"it gives no value to its output parameter {name}")
        text = file.read_text(encoding="utf-8")
        kind = self._component["outputDefinitions"]["parameters"][name]["parameterType"]
        return text if kind == "STRING" else json.loads(text)
