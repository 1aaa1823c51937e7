"""What a KFP cluster does to one step, on this machine: driver, launcher, object store and metadata.

What is followed is KFP 2's own behaviour, to the letter where a step can notice: the object store keeps files and no
folders; an input comes without its type; an output for the log is added; metadata comes back with ints and bools as
floats, and a null in it is refused. Only / is another: each step gets a folder of its own for it, removed at its end.
"""

import itertools
import json
import os
import shutil
import signal
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
from shiftvit.errors import ConfigError, UserError

Json = dict[str, Any]

LOGS = "executor-logs"  # the output that the driver adds
_PIPELINE_ROOT = "minio://mlpipeline/v2/artifacts"
_GRACE = 10.0  # seconds that a stopped step gets to end by itself


@dataclass(frozen=True)
class Cluster:
    """The folder that stands for a cluster.

    `bucket/` and `volumes/<claim>/` outlive a run; `logs/<run>/` has a file for each step.
    """

    folder: Path
    run: str
    pipeline_name: str
    parameters: Json  # of the run, complete
    _ids: itertools.count = field(default_factory=lambda: itertools.count(1))

    @property
    def root(self) -> str:
        """The remote place of all that this run makes."""
        return f"{_PIPELINE_ROOT}/{self.pipeline_name}/{self.run}"

    def log(self, task: str) -> Path:
        """Returns the file of all that a step says."""
        return self.folder / "logs" / self.run / f"{task}.log"

    def volume(self, claim: str) -> Path:
        """Returns the folder of the persistent volume claim of that name."""
        return self.folder / "volumes" / claim

    def upload(self, local: Path, uri: str) -> None:
        """Copies a file, or the files below a folder, into the bucket."""
        files = [local] if local.is_file() else [file for file in local.rglob("*") if file.is_file()]
        for file in files:
            _copy(file, self.stored(uri) / file.relative_to(local))

    def download(self, uri: str, local: Path) -> None:
        """Copies what the bucket has at or below `uri`."""
        source = self.stored(uri)
        if source.is_file():
            _copy(source, local)
        elif source.is_dir():
            shutil.copytree(source, local, dirs_exist_ok=True)  # one artifact may be two inputs

    def stored(self, uri: str) -> Path:
        """Returns where the bucket keeps what is at `uri`."""
        return self.folder / "bucket" / uri.partition("://")[2]

    def record(self, name: str, artifact: Json) -> Json:
        """Returns the artifact as a later step reads it from the metadata store.

        Raises:
            UserError: when the metadata store does not take it.
        """
        metadata = {key: _recorded(name, key, value) for key, value in artifact.get("metadata", {}).items()}
        return {"name": str(next(self._ids)), "uri": artifact["uri"], "metadata": {"display_name": name} | metadata}


def _copy(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, target)


def _recorded(artifact: str, key: str, value: Any) -> Any:
    if value is None:
        raise UserError(f"output {artifact}: KFP's launcher refuses metadata that is null, as {key} is")
    if isinstance(value, bool | int | float):
        return float(value)
    return {"list": value} if isinstance(value, list) else {"struct": value} if isinstance(value, dict) else value


class Step:
    """One task of the compiled pipeline, run once."""

    def __init__(
        self, name: str, task: Json, component: Json, container: Json, volumes: dict[str, str], cluster: Cluster
    ):
        self.name = name
        self.log = cluster.log(name)
        self._task, self._component, self._container, self._cluster = task, component, container, cluster
        self._volumes = volumes  # claims by mount path
        self._folder = cluster.folder / "steps" / cluster.run / name
        self._input: Json = {}
        self._process: subprocess.Popen | None = None

    def start(self, produced: dict[str, dict[str, Json]]) -> None:
        """Downloads what the step reads and starts its command.

        Args:
            produced: the recorded outputs of the tasks that have ended, by task and output.
        """
        self._input = {"inputs": self._read(produced), "outputs": self._provision()}
        for artifacts in self._input["inputs"]["artifacts"].values():
            for artifact in artifacts["artifacts"]:
                local = self._local(artifact["uri"])
                if local is not None:
                    self._cluster.download(artifact["uri"], local)
        for artifacts in self._input["outputs"]["artifacts"].values():
            self._local(artifacts["artifacts"][0]["uri"]).parent.mkdir(parents=True, exist_ok=True)
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
        """Returns the exit status of the command; None while it runs."""
        return self._process.poll()

    def finish(self) -> dict[str, Json]:
        """Uploads what the step wrote, and returns its outputs as they are recorded.

        Raises:
            UserError: when the launcher would refuse what the step reports.
        """
        reported = self._reported()
        recorded = {}
        for name, listed in self._input["outputs"]["artifacts"].items():
            artifact = _merge(listed["artifacts"][0], reported.get(name))
            local = self.log if name == LOGS else self._local(artifact["uri"])
            if local is not None:
                self._cluster.upload(local, artifact["uri"])
            recorded[name] = self._cluster.record(name, artifact)
        return recorded

    def remove(self) -> None:
        """Ends the command, if it runs, with all that it started, and removes the step's folder."""
        if self._process is not None and self.poll() is None:
            os.killpg(self._process.pid, signal.SIGTERM)
            try:
                self._process.wait(_GRACE)
            except subprocess.TimeoutExpired:
                os.killpg(self._process.pid, signal.SIGKILL)
                self._process.wait()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _mount(self) -> None:
        for path, claim in self._volumes.items():
            volume, place = self._cluster.volume(claim), self._folder / path.strip("/")
            volume.mkdir(parents=True, exist_ok=True)
            place.parent.mkdir(parents=True, exist_ok=True)
            place.symlink_to(volume)

    def _read(self, produced: dict[str, dict[str, Json]]) -> Json:
        declared, inputs = self._component.get("inputDefinitions", {}), self._task.get("inputs", {})
        defaults = {
            name: spec["defaultValue"]
            for name, spec in declared.get("parameters", {}).items()
            if "defaultValue" in spec
        }
        given = {name: self._value(name, source) for name, source in inputs.get("parameters", {}).items()}
        artifacts = {}
        for name, source in inputs.get("artifacts", {}).items():
            output = source["taskOutputArtifact"]
            artifact = produced[output["producerTask"]][output["outputArtifactKey"]]
            artifacts[name] = {"artifacts": [artifact]}
        return {"parameterValues": defaults | given, "artifacts": artifacts}

    def _value(self, name: str, source: Json) -> Any:
        if "componentInputParameter" in source:
            value = self._cluster.parameters[source["componentInputParameter"]]
        elif "runtimeValue" in source:
            value = source["runtimeValue"]["constant"]
        else:
            raise ConfigError(
                f"task {self.name}: parameter {name} is the output of another task, which is not rehearsed; "
                "give it a constant or a parameter of the pipeline"
            )
        return float(value) if isinstance(value, int) and not isinstance(value, bool) else value

    def _provision(self) -> Json:
        root = f"{self._cluster.root}/{self.name}/{uuid.uuid4()}"
        declared = self._component.get("outputDefinitions", {}).get("artifacts", {})
        declared = {**declared, LOGS: {"artifactType": {"schemaTitle": "system.Artifact"}}}
        artifacts = {}
        for name, spec in declared.items():
            artifact = {"name": name, "uri": f"{root}/{name}", "type": spec["artifactType"]}
            artifacts[name] = {"artifacts": [artifact | {key: spec[key] for key in ["metadata"] if key in spec}]}
        return {"artifacts": artifacts, "outputFile": str(self._local(root) / "output_metadata.json")}

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
            for name, listed in self._input[side]["artifacts"].items():
                uri = listed["artifacts"][0]["uri"]
                values[f"{{{{$.{side}.artifacts['{name}'].uri}}}}"] = uri
                values[f"{{{{$.{side}.artifacts['{name}'].path}}}}"] = str(self._local(uri) or uri)
        for name, value in self._input["inputs"]["parameterValues"].items():
            shown = int(value) if isinstance(value, float) and value.is_integer() else value
            values[f"{{{{$.inputs.parameters['{name}']}}}}"] = shown if isinstance(shown, str) else json.dumps(shown)
        return values

    def _environment(self) -> dict[str, str]:
        project = str(Path(pipeline.__file__).parents[1])
        path = os.pathsep.join(filter(None, [project, os.environ.get("PYTHONPATH")]))
        declared = {variable["name"]: variable["value"] for variable in self._container.get("env", [])}
        return {**os.environ, **declared, "PYTHONPATH": path, entrypoint.LOCAL_ROOT: str(self._folder)}

    def _reported(self) -> dict[str, Json]:
        """Returns the artifacts of the ExecutorOutput, which the launcher reads strictly; none if there is no file."""
        file = Path(self._input["outputs"]["outputFile"])
        text = file.read_text() if file.exists() else "{}"
        try:
            json_format.Parse(text, pipeline_spec_pb2.ExecutorOutput())
        except json_format.ParseError as error:
            raise UserError(f"KFP's launcher refuses what the step reports ({error})") from error
        return {name: listed["artifacts"][0] for name, listed in json.loads(text).get("artifacts", {}).items()}


def _merge(provisioned: Json, reported: Json | None) -> Json:
    if reported is None:
        return provisioned
    metadata = provisioned.get("metadata", {}) | reported.get("metadata", {})
    return provisioned | {"uri": reported.get("uri") or provisioned["uri"], "metadata": metadata}
