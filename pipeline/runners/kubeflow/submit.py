"""Submits a compiled pipeline to Kubeflow Pipelines (KFP), and waits for its run. Imports nothing heavy."""

import dataclasses
import hashlib
import json
import time
import uuid
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

from pipeline.runners.kubeflow.api import Answer, Api, NotFound
from pipeline.runners.kubeflow.pipeline_file import PipelineFile, load
from shiftvit.errors import ConfigError, UserError

_DEFAULT_EXPERIMENT = "Default"  # KFP's own
RUN = "Run"  # what `SubmittedRun.wait` calls the run itself
POLL_SECONDS = 10
_ENDS = {"SUCCEEDED": "succeeded", "FAILED": "failed", "CANCELED": "was cancelled", "SKIPPED": "was skipped"}
_DIGEST = 12  # digits of the file's digest in the name of a version
# In bytes: what the columns of KFP's database hold. The name of a version is the pipeline's and a digest.
_LONGEST = {"--run-name": 255, "--pipeline-name": 127 - _DIGEST - 1, "--experiment": 128, "--namespace": 63}


@dataclass(frozen=True)
class Names:
    """What things are to be called in KFP; an empty name leaves it to `submit`."""

    run: str = ""  # the pipeline's name and the time
    pipeline: str = ""  # the name in the file
    experiment: str = ""  # KFP's own, Default
    namespace: str = ""  # needed where KFP serves many users, and only there

    def complete(self, file: PipelineFile) -> "Names":
        """Returns these names with the empty ones filled in.

        Raises:
            ConfigError: when one is too long for KFP.
        """
        pipeline = self.pipeline or file.name
        run = self.run or f"{pipeline} {datetime.now():%Y-%m-%d %H:%M:%S}"
        names = Names(run, pipeline, self.experiment or _DEFAULT_EXPERIMENT, self.namespace)
        given = dict(zip(_LONGEST, dataclasses.astuple(names), strict=True))
        for option, name in given.items():
            if len(name.encode()) > _LONGEST[option]:
                raise ConfigError(f"{option} {name[:20]}...: longer than the {_LONGEST[option]} bytes that KFP takes")
        return names


@dataclass(frozen=True)
class SubmittedRun:
    """A run that KFP has taken."""

    api: Api
    file: PipelineFile
    name: str
    id: str

    @property
    def url(self) -> str:
        """The run's page."""
        return f"{self.api.host}/#/runs/details/{self.id}"

    def wait(self, report: Callable[[str, str], None]) -> None:
        """Returns when the run has succeeded.

        Args:
            report: is told each change: the name of a task of the graph or `RUN`, and KFP's name of its state.

        Raises:
            UserError: when the run ends otherwise, with KFP's reason.
        """
        told: dict[str, str] = {}
        while True:
            run = self.api.get(f"runs/{self.id}")
            states = {task["display_name"]: task.get("state") for task in _tasks(run) if self._is_of_graph(task)}
            for name, state in (states | {RUN: run.get("state")}).items():
                if state and told.get(name) != state:
                    report(name, state)
                    told[name] = state
            if run.get("state") in _ENDS:
                break
            time.sleep(POLL_SECONDS)
        if run["state"] != "SUCCEEDED":
            raise UserError(f"run {self.name} {_ENDS[run['state']]}{self._where_and_why(run)}; {self.url} shows more")

    def _where_and_why(self, run: Answer) -> str:
        failed = [task for task in _tasks(run) if task.get("state") == "FAILED"]
        # KFP lists its own nodes too: for a task T there are T-driver and an unnamed "executor", all within "root".
        of_graph = [task for task in failed if self._is_of_graph(task)] or failed
        told = [f"{task.get('display_name')} ({_reason(task) or 'no reason told'})" for task in of_graph]
        reason = _reason(run)
        return (f" at {', '.join(told)}" if told else "") + (f": {reason}" if reason else "")

    def _is_of_graph(self, task: Answer) -> bool:
        return str(task.get("display_name")).removesuffix("-driver") in self.file.tasks


def submit(path: Path, host: str, settings: Iterable[str] = (), names: Names = Names()) -> SubmittedRun:
    """Has KFP run a compiled pipeline.

    A version of the pipeline is uploaded unless KFP has one of the same content already.

    Args:
        path: of the file.
        host: the address of KFP's pages, below which the API is.
        settings: values for the pipeline's parameters, each as NAME=VALUE.
        names: of what comes to be in KFP.

    Raises:
        ConfigError: when the file, the host, a parameter or a name does not fit; nothing is sent then.
        UserError: when KFP cannot be reached or refuses.
    """
    file = load(path)
    parameters = file.read_parameters(settings)
    names = names.complete(file)
    api = Api(host)
    if api.serves_many_users() and not names.namespace:
        raise ConfigError(f"{api.host}: serves many users; --namespace NAME says whose run it is")
    version = _upload(api, file, names)
    experiment = _find_or_create_experiment(api, names)
    run = _create_run(api, names, experiment, version, parameters)
    return SubmittedRun(api, file, names.run, run["run_id"])


def _upload(api: Api, file: PipelineFile, names: Names) -> Answer:
    """Returns the version of the pipeline that has the file's content."""
    digest = hashlib.sha256(file.content).hexdigest()
    description = f"compiled file, SHA-256 {digest}"
    # KFP goes by the ending, and takes YAML alone.
    upload = {"uploadfile": (file.path.with_suffix(".yaml").name, file.content)}
    namespace = _given(namespace=names.namespace)

    def find_pipeline() -> Answer | None:
        try:
            return api.get(f"pipelines/names/{quote(names.pipeline, safe='')}", **namespace)
        except NotFound:
            return None

    pipeline = find_pipeline() or api.create(
        "pipelines/upload",
        "pipeline_id",
        find_pipeline,
        params={"name": names.pipeline, "description": description, **namespace},
        files=upload,
    )
    pipeline_id = pipeline["pipeline_id"]

    def find_version() -> Answer | None:
        # By its description: the first version, made along with the pipeline, has the pipeline's name.
        return _find(api, f"pipelines/{pipeline_id}/versions", "pipeline_versions", "description", description)

    return find_version() or api.create(
        "pipelines/upload_version",
        "pipeline_version_id",
        find_version,
        params={
            "name": f"{names.pipeline}-{digest[:_DIGEST]}",
            "pipelineid": pipeline_id,
            "description": description,
        },
        files=upload,
    )


def _find_or_create_experiment(api: Api, names: Names) -> Answer:
    namespace = _given(namespace=names.namespace)

    def find() -> Answer | None:
        return _find(api, "experiments", "experiments", "display_name", names.experiment, **namespace)

    body = {"display_name": names.experiment, **namespace}
    return find() or api.create("experiments", "experiment_id", find, json=body)


def _create_run(api: Api, names: Names, experiment: Answer, version: Answer, parameters: dict[str, Any]) -> Answer:
    # Several runs may have one name, so a mark in the description tells this one from those.
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


def _find(api: Api, path: str, listed: str, key: str, value: str, **query: Any) -> Answer | None:
    found = api.get(path, filter=_equals(key, value), **query).get(listed, [])
    return found[0] if found else None


def _equals(key: str, value: str) -> str:
    return json.dumps({"predicates": [{"operation": "EQUALS", "key": key, "stringValue": value}]})


def _given(**values: str) -> dict[str, str]:
    return {key: value for key, value in values.items() if value}


def _tasks(run: Answer) -> list[Answer]:
    return (run.get("run_details") or {}).get("task_details") or []


def _reason(thing: Answer) -> str | None:
    """Returns why a run or task failed: its error, or that of its newest state, where KFP tells one."""
    for told in (thing, *reversed(thing.get("state_history") or [])):
        message = (told.get("error") or {}).get("message")
        if message:
            return " ".join(message.split())
    return None
