"""Manifests for training on several workers with plain Kubernetes, without KFP. Imports nothing heavy.

An Indexed Job starts a pod for each worker, and a headless Service gives each a stable name. When one worker dies, the
others lose their connection and end too; each gets a new pod, and all resume from the state on the shared volume.
"""

import dataclasses
import json
import re
from pathlib import PurePosixPath
from typing import Any

from pipeline.config.kubeflow import GPU, KubeflowConfig
from pipeline.config.settings import PipelineConfig
from shiftvit.cluster import TF_CONFIG
from shiftvit.config import require, to_dict
from shiftvit.errors import ConfigError, DataError
from shiftvit.ranges import Range

Manifest = dict[str, Any]

_LONGEST_NAME = 52  # the name of a pod adds the index, and may have 63 characters
_PORT = 2222
_CONFIG_FILE = PurePosixPath("/etc/shiftvit/config.json")
_INDEX = "JOB_COMPLETION_INDEX"
_CONTAINER = "worker"


@dataclasses.dataclass(frozen=True)
class WorkerJob:
    """What `shiftvit kubeflow worker-job` adds to the configuration."""

    name: str  # of the Job
    workers: int  # number of workers
    records: str  # folder of the ingested records, in the pods
    model: str  # folder for the SavedModel, in the pods
    state: str  # folder of the state to resume from, in the pods

    def check(self, config: PipelineConfig) -> None:
        """Raises ConfigError if the Job could not train."""
        require(
            len(self.name) <= _LONGEST_NAME and re.fullmatch(r"[a-z]([a-z0-9-]*[a-z0-9])?", self.name),
            f"--name {self.name}: must be at most {_LONGEST_NAME} lower-case letters, digits and dashes, "
            "beginning with a letter",
        )
        Range(1, 10_000).check(self.workers, "--workers")
        require(config.kubeflow.image, "--image is missing: set it to the name by which the cluster pulls the image")
        own_devices = max(config.kubeflow.steps.trainer.gpus, 1)
        require(
            self.workers == 1 or config.train.replicas in (0, own_devices),
            f"train.replicas={config.train.replicas}, but each of several workers trains on all its devices, "
            f"here {own_devices}: leave it at 0",
        )
        devices = self.workers * own_devices
        require(
            config.train.batch_size % devices == 0,
            f"train.batch_size={config.train.batch_size} is not divisible by the {devices} devices of "
            f"--workers {self.workers} with kubeflow.steps.trainer.gpus={config.kubeflow.steps.trainer.gpus}",
        )
        config.train.check_devices(devices)
        paths = {"--records": self.records, "--model": self.model, "--state": self.state}
        for option, path in (paths | {"train.initial_weights": config.train.initial_weights or self.state}).items():
            config.kubeflow.require_volume(option, path)


def manifests(config: PipelineConfig, job: WorkerJob) -> list[Manifest]:
    """Returns the configuration's ConfigMap, the Service and the Job.

    Raises:
        ConfigError: the Job could not train.
    """
    job.check(config)
    labels = {"app.kubernetes.io/name": "shiftvit", "app.kubernetes.io/instance": job.name}
    metadata = {"name": job.name, "labels": labels}
    data = {_CONFIG_FILE.name: json.dumps(to_dict(config), indent=2) + "\n"}
    service = {
        "clusterIP": "None",
        "publishNotReadyAddresses": True,  # workers look each other up before any of them is ready
        "selector": labels,
        "ports": [{"name": "grpc", "port": _PORT}],
    }
    return [
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data},
        {"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": service},
        {"apiVersion": "batch/v1", "kind": "Job", "metadata": metadata, "spec": _job_spec(config, job, labels)},
    ]


def _job_spec(config: PipelineConfig, job: WorkerJob, labels: dict[str, str]) -> Manifest:
    wrong_input = [ConfigError.exit_code, DataError.exit_code]
    on_wrong_input = {"containerName": _CONTAINER, "operator": "In", "values": wrong_input}
    return {
        "completionMode": "Indexed",
        "completions": job.workers,
        "parallelism": job.workers,
        "backoffLimitPerIndex": 6,  # restarts of each worker; all restart when one dies
        "maxFailedIndexes": 0,  # without one worker, the others wait forever
        "podFailurePolicy": {
            "rules": [
                {"action": "FailJob", "onExitCodes": on_wrong_input},  # a restart would fail in the same way
                {"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]},
            ]
        },
        "template": {"metadata": {"labels": labels}, "spec": _pod_spec(config, job)},
    }


def _pod_spec(config: PipelineConfig, job: WorkerJob) -> Manifest:
    kubeflow = config.kubeflow
    volumes: list[Manifest] = [{"name": "config", "configMap": {"name": job.name}}]
    mounts: list[Manifest] = [{"name": "config", "mountPath": str(_CONFIG_FILE.parent), "readOnly": True}]
    for number, (claim, path) in enumerate(kubeflow.mounts.items()):
        volumes.append({"name": f"volume-{number}", "persistentVolumeClaim": {"claimName": claim}})
        mounts.append({"name": f"volume-{number}", "mountPath": path})
    return {
        "subdomain": job.name,
        "restartPolicy": "Never",  # the Job creates a new pod; podFailurePolicy requires it
        "automountServiceAccountToken": False,
        "securityContext": {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}},
        **kubeflow.placement(kubeflow.steps.trainer),
        "containers": [_container(config, job) | {"volumeMounts": mounts}],
        "volumes": volumes,
        "imagePullSecrets": [{"name": kubeflow.image_pull_secret}] if kubeflow.image_pull_secret else [],
    }


def _container(config: PipelineConfig, job: WorkerJob) -> Manifest:
    step = config.kubeflow.steps.trainer
    resources = {"cpu": step.cpu, "memory": step.memory} | ({GPU: step.gpus} if step.gpus else {})
    folders = ("--records", job.records, "--model", job.model, "--state", job.state)
    return {
        "name": _CONTAINER,
        "image": config.kubeflow.image,
        "command": ["shiftvit", "train", "--config", str(_CONFIG_FILE), *folders],
        "env": [*_environment(config.kubeflow), *_cluster(job)],
        "resources": {"requests": resources, "limits": resources},
        "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
    }


def _environment(kubeflow: KubeflowConfig) -> list[Manifest]:
    return kubeflow.environment + [
        {"name": name, "valueFrom": {"secretKeyRef": {"name": secret, "key": key}}}
        for name, secret, key in kubeflow.secret_variables
    ]


def _cluster(job: WorkerJob) -> list[Manifest]:
    """Returns the pod's index and TF_CONFIG, in which Kubernetes expands the index."""
    addresses = json.dumps([f"{job.name}-{index}.{job.name}:{_PORT}" for index in range(job.workers)])
    config = f'{{"cluster": {{"worker": {addresses}}}, "task": {{"type": "worker", "index": $({_INDEX})}}}}'
    field = {"fieldPath": "metadata.annotations['batch.kubernetes.io/job-completion-index']"}
    return [{"name": _INDEX, "valueFrom": {"fieldRef": field}}, {"name": TF_CONFIG, "value": config}]
