"""Checks a compiled pipeline against KFP's rules before it is uploaded or run.

KFP checks in three places: its API server when a file is uploaded, its compiler to Argo when a run is created, and its
driver when a step starts, perhaps hours later. This module checks everything at once.
"""

import re
from collections.abc import Iterator, Sequence
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import Any

from google.protobuf import json_format
from kfp.pipeline_spec import pipeline_spec_pb2

from pipeline.config.kubeflow import QUANTITY
from pipeline.runners.kubeflow.pipeline_file import PARAMETER_TYPES, Json
from shiftvit.errors import ConfigError, one_line

SCHEMA_VERSION = "2.1.0"
_PIPELINE_NAME = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
_NODE_NAME = re.compile(r"[a-zA-Z0-9][-a-zA-Z0-9]{0,127}")  # of an Argo template or task


def check(documents: Sequence[Json], file: Path) -> None:
    """Raises ConfigError with the first problem for which KFP would reject the documents or fail to run them.

    Args:
        documents: the PipelineSpec, and the document for the platform if there is one.
        file: path of the compiled file, for the message.
    """
    for problem in _problems(*documents):
        raise ConfigError(f"{file}: {problem}")


def fits(value: Any, parameter_type: str) -> bool:
    """Returns whether KFP accepts the value for a parameter of the type; it takes any number as an integer."""
    if type(value) in (int, float):
        return parameter_type in ("NUMBER_INTEGER", "NUMBER_DOUBLE")
    return parameter_type in PARAMETER_TYPES and type(value) is PARAMETER_TYPES[parameter_type][0]


def dependencies(task: Json) -> set[str]:
    """Returns the tasks that KFP waits for: those in `dependentTasks`, and the producers of the inputs."""
    inputs = task.get("inputs", {})
    sources = [*inputs.get("artifacts", {}).values(), *inputs.get("parameters", {}).values()]
    outputs = [source.get("taskOutputArtifact") or source.get("taskOutputParameter") for source in sources]
    return {*task.get("dependentTasks", []), *(output["producerTask"] for output in outputs if output)}


def in_order(tasks: Json) -> list[str]:
    """Returns the task names in topological order; raises CycleError if there is none."""
    return list(TopologicalSorter({name: dependencies(task) for name, task in tasks.items()}).static_order())


def _problems(spec: Json, *platforms: Json) -> Iterator[str]:
    try:
        json_format.ParseDict(spec, pipeline_spec_pb2.PipelineSpec())
        deployment = pipeline_spec_pb2.PipelineDeploymentConfig()
        json_format.ParseDict(spec.get("deploymentSpec", {}), deployment, ignore_unknown_fields=True)  # as KFP does
    except json_format.ParseError as error:
        yield f"not a KFP PipelineSpec ({one_line(error)})"
    yield from _header_problems(spec)
    yield from _parameter_problems("root", spec["root"])
    executors = spec.get("deploymentSpec", {}).get("executors", {})
    for name, component in spec.get("components", {}).items():
        yield from _component_problems(name, component, executors)
    tasks = spec["root"]["dag"]["tasks"]
    for name, task in tasks.items():
        yield from _task_problems(name, task, spec)
    try:
        in_order(tasks)
    except CycleError as error:
        yield f"tasks {', '.join(sorted(set(error.args[1])))} depend on each other"
    yield from _platform_problems(platforms, executors)


def _header_problems(spec: Json) -> Iterator[str]:
    version = spec.get("schemaVersion")
    if version != SCHEMA_VERSION:
        yield f"schemaVersion is {version}, but KFP takes only {SCHEMA_VERSION}"
    name = spec.get("pipelineInfo", {}).get("name", "")
    if not _PIPELINE_NAME.fullmatch(name):
        yield f"pipelineInfo.name is {name!r}: it must be lower-case letters and digits, with '-' and '.' between them"
    if not spec.get("root", {}).get("dag", {}).get("tasks"):
        yield "root.dag.tasks is missing or empty: there is nothing to run"


def _parameter_problems(place: str, component: Json) -> Iterator[str]:
    for name, parameter in component.get("inputDefinitions", {}).get("parameters", {}).items():
        kind, default = parameter.get("parameterType"), parameter.get("defaultValue")
        if kind not in PARAMETER_TYPES:
            yield f"{place}: parameter {name} has the type {kind}; KFP knows only {', '.join(PARAMETER_TYPES)}"
        elif default is not None and not fits(default, kind):
            yield f"{place}: the default {default!r} of parameter {name} is not a {kind}"


def _component_problems(name: str, component: Json, executors: Json) -> Iterator[str]:
    place = f"component {name}"
    if name == "root" or not _NODE_NAME.fullmatch(name):
        yield f"{place}: a name must be at most 128 letters, digits and '-', and not root"
    label = component.get("executorLabel")
    if label not in executors:
        yield f"{place}: its executor {label} is not in deploymentSpec.executors"
        return
    yield from _parameter_problems(place, component)
    executor = executors[label]
    if "container" in executor:
        yield from _container_problems(f"executor {label}", executor["container"])
    elif "importer" not in executor:
        yield f"executor {label}: is {', '.join(executor) or 'empty'}, but KFP runs only a container or an importer"


def _container_problems(place: str, container: Json) -> Iterator[str]:
    if not container.get("image"):
        yield f"{place}: has no image"
    if not container.get("command"):
        yield f"{place}: has no command, and KFP's launcher cannot use the image's own"
    resources = container.get("resources", {})
    for key, value in resources.items():  # such as resourceCpuLimit, a text, or in the older form cpuLimit, a number
        if key.startswith("resource") and not QUANTITY.fullmatch(str(value)):
            yield f"{place}: {key} is {value!r}, which is not a Kubernetes quantity, such as 500m or 4Gi"
        if key.startswith(("cpu", "memory")) and not (fits(value, "NUMBER_DOUBLE") and value > 0):
            yield f"{place}: {key} is {value!r}, which must be a number above 0"
    accelerator = resources.get("accelerator", {})
    count = accelerator.get("resourceCount", accelerator.get("count", "1"))  # JSON has an int64 as a string
    if accelerator and (not re.fullmatch(r"[1-9]\d*", str(count)) or not accelerator.keys() & {"type", "resourceType"}):
        yield f"{place}: its accelerator must have a type, such as nvidia.com/gpu, and a count above 0"


def _task_problems(name: str, task: Json, spec: Json) -> Iterator[str]:
    place, tasks = f"task {name}", spec["root"]["dag"]["tasks"]
    if not _NODE_NAME.fullmatch(name):
        yield f"{place}: a name must be at most 128 letters, digits and '-'"
    if not task.get("taskInfo", {}).get("name"):
        yield f"{place}: has no taskInfo.name"
    reference = task.get("componentRef", {}).get("name")
    if reference not in spec.get("components", {}):
        yield f"{place}: its component {reference} is not in components"
        return
    for other in sorted(dependencies(task) - tasks.keys()):
        yield f"{place}: depends on the task {other}, which does not exist"
    yield from _declaration_problems(place, task, spec["components"][reference])
    root = spec["root"].get("inputDefinitions", {}).get("parameters", {})
    declared = spec["components"][reference].get("inputDefinitions", {}).get("parameters", {})
    for key, source in task.get("inputs", {}).get("parameters", {}).items():
        yield from _value_problems(f"{place}: parameter {key}", source, declared.get(key, {}), root, spec)
    for key, source in task.get("inputs", {}).get("artifacts", {}).items():
        output = source.get("taskOutputArtifact")
        if output is None:
            yield f"{place}: input {key} has no taskOutputArtifact, the only source of an artifact"
        else:
            yield from _output_problems(f"{place}: input {key}", "artifacts", output, spec)


def _declaration_problems(place: str, task: Json, component: Json) -> Iterator[str]:
    """Compares the inputs of a task with those that its component declares."""
    for kind in ("parameters", "artifacts"):
        given = task.get("inputs", {}).get(kind, {}).keys()
        declared = component.get("inputDefinitions", {}).get(kind, {})
        for name in sorted(given - declared.keys()):
            yield f"{place}: passes {name}, which is not in the {kind} of its component's inputDefinitions"
        for name in sorted(declared.keys() - given):
            if "defaultValue" not in declared[name] and not declared[name].get("isOptional"):
                yield f"{place}: does not pass {name}, which is in the {kind} of its component's inputDefinitions"


def _value_problems(place: str, source: Json, declared: Json, root: Json, spec: Json) -> Iterator[str]:
    kind = declared.get("parameterType")
    if "componentInputParameter" in source:
        name = source["componentInputParameter"]
        if name not in root:
            yield f"{place} is the pipeline's parameter {name}, which is not in root.inputDefinitions"
        elif kind and root[name].get("parameterType") != kind:
            yield f"{place} is a {kind}, and the pipeline's parameter {name} a {root[name].get('parameterType')}"
    elif "taskOutputParameter" in source:
        yield from _output_problems(place, "parameters", source["taskOutputParameter"], spec)
    elif "constant" not in source.get("runtimeValue", {}):
        yield f"{place} has no runtimeValue.constant, the only constant that KFP's driver reads"
    elif kind and not fits(source["runtimeValue"]["constant"], kind):
        yield f"{place}: {source['runtimeValue']['constant']!r} is not a {kind}"


def _output_problems(place: str, kind: str, output: Json, spec: Json) -> Iterator[str]:
    producer, key = output["producerTask"], output.get("outputArtifactKey") or output.get("outputParameterKey")
    reference = spec["root"]["dag"]["tasks"][producer].get("componentRef", {}).get("name")
    component = spec["components"].get(reference, {})
    if key not in component.get("outputDefinitions", {}).get(kind, {}):
        yield f"{place} comes from {producer}'s output {key}, which {producer} does not have"


def _platform_problems(platforms: Sequence[Json], executors: Json) -> Iterator[str]:
    if len(platforms) > 1:
        yield "has more than two documents; KFP takes a PipelineSpec and one for the platform"
    for document in platforms:
        settings = document.get("platforms", {}).get("kubernetes")
        if settings is None:
            yield "its second document has no platforms.kubernetes, so KFP would ignore it"
            continue
        for label in settings.get("deploymentSpec", {}).get("executors", {}):
            if label not in executors:
                yield f"platforms.kubernetes: there is no executor {label}; KFP would silently ignore its settings"
