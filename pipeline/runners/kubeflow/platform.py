"""Translates our settings for the steps to KFP's terms: container resources, and settings of the platform.

KFP has an older and a newer form for some fields. In a container, an installation ignores the form that it does not
know, so both are written. In the platform's settings, old installations reject the newer form and all take the older,
so only that is written.
"""

from collections.abc import Iterable

from kubernetes.utils.quantity import parse_quantity

from pipeline.config.kubeflow import GPU, KubeflowConfig, StepConfig
from pipeline.runners.kubeflow.pipeline_file import Json


def executor(task: str) -> str:
    """Returns the label of the task's executor in the compiled file."""
    return f"{task}_executor"


def container_settings(step: StepConfig, config: KubeflowConfig) -> Json:
    """Returns the fields of a step's container that TFX leaves out: resources and environment."""
    cores, gigabytes = float(parse_quantity(step.cpu)), float(parse_quantity(step.memory)) / 1e9
    resources: Json = {}
    for kind in ("Limit", "Request"):
        resources[f"resourceCpu{kind}"], resources[f"resourceMemory{kind}"] = step.cpu, step.memory
        resources[f"cpu{kind}"], resources[f"memory{kind}"] = cores, gigabytes
    if step.gpus:
        count = str(step.gpus)
        resources["accelerator"] = {"resourceType": GPU, "resourceCount": count, "type": GPU, "count": count}
    return {"resources": resources, "env": config.environment}


def document(config: KubeflowConfig, tasks: Iterable[str]) -> Json:
    """Returns the second document of the compiled file: image secret, secrets, volumes and placement of each task."""
    executors = {executor(task): _settings(config.steps.of(task), config) for task in tasks}
    return {"platforms": {"kubernetes": {"deploymentSpec": {"executors": executors}}}}


def _settings(step: StepConfig, config: KubeflowConfig) -> Json:
    placement = config.placement(step)
    settings = {
        "imagePullSecret": [{"secretName": config.image_pull_secret}] if config.image_pull_secret else [],
        "secretAsEnv": [
            {"secretName": secret, "keyToEnv": [{"secretKey": key, "envVar": variable}]}
            for variable, secret, key in config.secret_variables
        ],
        "pvcMount": [{"constant": claim, "mountPath": path} for claim, path in config.mounts.items()],
        "nodeSelector": {"labels": placement["nodeSelector"]} if placement["nodeSelector"] else {},
        "tolerations": placement["tolerations"],
    }
    return {name: value for name, value in settings.items() if value}
