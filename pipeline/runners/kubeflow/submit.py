"""Submits a compiled pipeline to Kubeflow Pipelines (KFP), and waits for its run. Imports nothing heavy."""

import hashlib
import json
import time
import uuid
from collections.abc import Callable, Iterable
from dataclasses import astuple, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

from pipeline.runners.kubeflow.api import Answer, Api, NotFound
from pipeline.runners.kubeflow.pipeline_file import PipelineFile, load
from pipeline.runners.kubeflow.refused import REFUSED
from shiftvit.errors import ConfigError, NotBlessedError, UserError

RUN = "Run"  # name that `SubmittedRun.wait` reports for the run itself
POLL_SECONDS = 10
_FINAL_STATES = {"SUCCEEDED": "succeeded", "FAILED": "failed", "CANCELED": "was cancelled", "SKIPPED": "was skipped"}
_DIGEST_LENGTH = 12  # digits of the file's digest in the name of a version
# Longest names in bytes, by the columns of KFP's database. A version is named after its pipeline and a digest.
_MAX_BYTES = {"--run-name": 255, "--pipeline-name": 127 - _DIGEST_LENGTH - 1, "--experiment": 128, "--namespace": 63}


@dataclass(frozen=True)
class Names:
    """Names in KFP. Empty names get defaults."""

    run: str = ""  # default: the pipeline's name and the time
    pipeline: str = ""  # default: the name in the file
    experiment: str = ""  # created if needed; default: Default
    namespace: str = ""  # required by multi-user installations, unused by others

    def complete(self, file: PipelineFile) -> "Names":
        """Returns the names with defaults filled in.

        Raises:
            ConfigError: a name is too long for KFP.
        """
        pipeline = self.pipeline or file.name
        run = self.run or f"{pipeline} {datetime.now():%Y-%m-%d %H:%M:%S}"
        names = Names(run, pipeline, self.experiment or "Default", self.namespace)
        for option, name in zip(_MAX_BYTES, astuple(names), strict=True):
            if len(name.encode()) > _MAX_BYTES[option]:
                raise ConfigError(f"{option} {name[:20]}...: longer than {_MAX_BYTES[option]} bytes, KFP's limit")
        return names

    @property
    def scope(self) -> dict[str, str]:
        """The namespace as a parameter of a request, if there is one."""
        return {"namespace": self.namespace} if self.namespace else {}


@dataclass(frozen=True)
class SubmittedRun:
    """A run that KFP has accepted."""

    api: Api
    file: PipelineFile
    name: str
    id: str

    @property
    def url(self) -> str:
        """Address of the run's page."""
        return f"{self.api.host}/#/runs/details/{self.id}"

    def wait(self, report: Callable[[str, str], None]) -> None:
        """Waits until the run has succeeded with a version.

        Args:
            report: called at each change with the name of a task of the graph, or `RUN`, and KFP's name of its state.

        Raises:
            NotBlessedError: the gates refused the model, whether or not the run passes then.
            UserError: the run fails or is cancelled; the message has KFP's reason.
        """
        reported: dict[str, str] = {}
        while True:
            run = self.api.get(f"runs/{self.id}")
            states = {task["display_name"]: task.get("state") for task in _tasks(run) if self._is_of_graph(task)}
            for name, state in (states | {RUN: run.get("state")}).items():
                if state and reported.get(name) != state:
                    report(name, state)
                    reported[name] = state
            if run.get("state") in _FINAL_STATES:
                break
            time.sleep(POLL_SECONDS)
        if states.get(REFUSED) in ("SUCCEEDED", "FAILED"):
            raise NotBlessedError(
                f"run {self.name} pushed no version: the log of its step {REFUSED} says why; see {self.url}"
            )
        if run["state"] != "SUCCEEDED":
            raise UserError(f"run {self.name} {_FINAL_STATES[run['state']]}{self._where_and_why(run)}; see {self.url}")

    def _where_and_why(self, run: Answer) -> str:
        failed = [task for task in _tasks(run) if task.get("state") == "FAILED"]
        # KFP also lists its own nodes: for a task T, T-driver and an unnamed "executor", all within "root".
        of_graph = [task for task in failed if self._is_of_graph(task)] or failed
        places = [f"{task.get('display_name')} ({_reason(task) or 'no reason given'})" for task in of_graph]
        reason = _reason(run)
        return (f" at {', '.join(places)}" if places else "") + (f": {reason}" if reason else "")

    def _is_of_graph(self, task: Answer) -> bool:
        return str(task.get("display_name")).removesuffix("-driver") in self.file.tasks


def submit(path: Path, host: str, settings: Iterable[str] = (), names: Names = Names()) -> SubmittedRun:
    """Starts a run of a compiled pipeline in KFP.

    Uploads the file as a version of the pipeline, unless KFP already has a version with the same content.

    Args:
        path: path of the compiled file.
        host: address of KFP's pages, under which its API is.
        settings: values for the pipeline's parameters, each as NAME=VALUE.
        names: names of run, pipeline, experiment and namespace.

    Raises:
        ConfigError: the file, the host, a parameter or a name is invalid; nothing is sent then.
        UserError: KFP cannot be reached, or rejects the request.
    """
    file = load(path)
    parameters = file.read_parameters(settings)
    file.check_data(parameters)
    names = names.complete(file)
    api = Api(host)
    if api.serves_many_users() and not names.namespace:
        raise ConfigError(f"{api.host}: is a multi-user installation; set the run's namespace with --namespace NAME")
    version = _upload(api, file, names)
    experiment = _find_or_create_experiment(api, names)
    run = _create_run(api, names, experiment, version, parameters)
    return SubmittedRun(api, file, names.run, run["run_id"])


def _upload(api: Api, file: PipelineFile, names: Names) -> Answer:
    """Returns the version of the pipeline with the content of the file; creates it if needed."""
    digest = hashlib.sha256(file.content).hexdigest()
    description = f"compiled file, SHA-256 {digest}"
    # KFP decides by the extension, and takes only YAML.
    upload = {"uploadfile": (file.path.with_suffix(".yaml").name, file.content)}

    def find_pipeline() -> Answer | None:
        try:
            return api.get(f"pipelines/names/{quote(names.pipeline, safe='')}", **names.scope)
        except NotFound:
            return None

    pipeline = find_pipeline() or api.create(
        "pipelines/upload",
        "pipeline_id",
        find_pipeline,
        params={"name": names.pipeline, "description": description, **names.scope},
        files=upload,
    )
    pipeline_id = pipeline["pipeline_id"]

    def find_version() -> Answer | None:
        # By description, because the first version, created with the pipeline, has the pipeline's name.
        return _find(api, f"pipelines/{pipeline_id}/versions", "pipeline_versions", "description", description)

    name = f"{names.pipeline}-{digest[:_DIGEST_LENGTH]}"
    return find_version() or api.create(
        "pipelines/upload_version",
        "pipeline_version_id",
        find_version,
        params={"name": name, "pipelineid": pipeline_id, "description": description},
        files=upload,
    )


def _find_or_create_experiment(api: Api, names: Names) -> Answer:
    def find() -> Answer | None:
        return _find(api, "experiments", "experiments", "display_name", names.experiment, **names.scope)

    body = {"display_name": names.experiment, **names.scope}
    return find() or api.create("experiments", "experiment_id", find, json=body)


def _create_run(api: Api, names: Names, experiment: Answer, version: Answer, parameters: dict[str, Any]) -> Answer:
    # Names of runs are not unique, so the description identifies this run.
    description = f"submission {uuid.uuid4()}"

    def find() -> Answer | None:
        query = {"experiment_id": experiment["experiment_id"], "sort_by": "created_at desc"}
        runs = api.get("runs", filter=_equals("display_name", names.run), **query).get("runs", [])
        return next((run for run in runs if run.get("description") == description), None)

    body = {
        "display_name": names.run,
        "description": description,
        "experiment_id": experiment["experiment_id"],
        "pipeline_version_reference": {key: version[key] for key in ("pipeline_id", "pipeline_version_id")},
        "runtime_config": {"parameters": parameters},
    }
    return api.create("runs", "run_id", find, json=body)


def _find(api: Api, path: str, collection: str, key: str, value: str, **query: Any) -> Answer | None:
    found = api.get(path, filter=_equals(key, value), **query).get(collection, [])
    return found[0] if found else None


def _equals(key: str, value: str) -> str:
    return json.dumps({"predicates": [{"operation": "EQUALS", "key": key, "stringValue": value}]})


def _tasks(run: Answer) -> list[Answer]:
    return (run.get("run_details") or {}).get("task_details") or []


def _reason(run_or_task: Answer) -> str | None:
    """Returns the error of a run or task, or that of its newest state with one, or None."""
    for state in (run_or_task, *reversed(run_or_task.get("state_history") or [])):
        message = (state.get("error") or {}).get("message")
        if message:
            return " ".join(message.split())
    return None
