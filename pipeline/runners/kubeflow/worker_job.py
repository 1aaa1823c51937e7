"""Manifests of a training on several workers, which Kubernetes runs by itself. Imports nothing heavy.

An Indexed Job starts a pod for each worker, and a headless Service gives each a name that lasts. When one worker dies,
the others lose it and end as well; each gets a new pod, and together they go on with what is on the shared volume.
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

Manifest = dict[str, Any]

DEFAULT_NAME = "shiftvit-train"
_LONGEST_NAME = 52  # leaves room for the index in the name of a pod, a label of 63 characters
_PORT = 2222
_CONFIG_FILE = PurePosixPath("/etc/shiftvit/config.json")
_INDEX = "JOB_COMPLETION_INDEX"
_INDEX_ANNOTATION = "batch.kubernetes.io/job-completion-index"
_RESTARTS = 6  # of each worker; a death of one is a restart of all
_CONTAINER = "worker"


@dataclasses.dataclass(frozen=True)
class WorkerJob:
    """What the configuration does not say: how many workers, and the folders of the training in their pods."""

    name: str
    workers: int
    records: str
    model: str
    state: str

    def check(self, config: PipelineConfig) -> None:
        """Raises ConfigError when no such Job could train."""
        require(
            len(self.name) <= _LONGEST_NAME and bool(re.fullmatch(r"[a-z]([a-z0-9-]*[a-z0-9])?", self.name)),
            f"--name {self.name}: must be small letters, digits and dashes, {_LONGEST_NAME} at most, first a letter",
        )
        require(self.workers > 0, f"--workers {self.workers} must be positive")
        require(bool(config.kubeflow.image), "--image is missing: the name by which the cluster pulls the image")
        own = max(config.kubeflow.steps.trainer.gpus, 1)
        require(
            self.workers == 1 or config.train.replicas in (0, own),
            f"train.replicas={config.train.replicas}, but each of several workers trains on all its {own} devices: "
            "leave it at 0",
        )
        devices = self.workers * own
        require(
            config.train.batch_size % devices == 0,
            f"train.batch_size={config.train.batch_size} is not divisible by the {devices} devices of "
            f"--workers {self.workers} with kubeflow.steps.trainer.gpus={config.kubeflow.steps.trainer.gpus}",
        )
        places = {"--records": self.records, "--model": self.model, "--state": self.state}
        for option, path in (places | {"train.initial_weights": config.train.initial_weights or self.state}).items():
            config.kubeflow.require_volume(option, path)


def manifests(config: PipelineConfig, job: WorkerJob) -> list[Manifest]:
    """Returns the configuration's ConfigMap, the Service and the Job.

    Raises:
        ConfigError: when no such Job could train.
    """
    job.check(config)
    labels = {"app.kubernetes.io/name": "shiftvit", "app.kubernetes.io/instance": job.name}
    metadata = {"name": job.name, "labels": labels}
    return [
        {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": metadata,
            "data": {_CONFIG_FILE.name: json.dumps(to_dict(config), indent=2) + "\n"},
        },
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": metadata,
            # The workers find one another before any of them is ready.
            "spec": {
                "clusterIP": "None",
                "publishNotReadyAddresses": True,
                "selector": labels,
                "ports": [{"name": "grpc", "port": _PORT}],
            },
        },
        {"apiVersion": "batch/v1", "kind": "Job", "metadata": metadata, "spec": _job_spec(config, job, labels)},
    ]


def _job_spec(config: PipelineConfig, job: WorkerJob, labels: dict[str, str]) -> Manifest:
    return {
        "completionMode": "Indexed",
        "completions": job.workers,
        "parallelism": job.workers,
        "backoffLimitPerIndex": _RESTARTS,
        "maxFailedIndexes": 0,  # without one worker, the others can only wait
        "podFailurePolicy": {
            "rules": [
                {
                    "action": "FailJob",  # what is wrong now will be wrong again
                    "onExitCodes": {
                        "containerName": _CONTAINER,
                        "operator": "In",
                        "values": [ConfigError.exit_code, DataError.exit_code],
                    },
                },
                {"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]},
            ]
        },
        "template": {"metadata": {"labels": labels}, "spec": _pod_spec(config, job)},
    }


def _pod_spec(config: PipelineConfig, job: WorkerJob) -> Manifest:
    kubeflow = config.kubeflow
    mounts = {f"volume-{number}": mount for number, mount in enumerate(kubeflow.mounts.items())}
    spec = {
        "subdomain": job.name,
        "restartPolicy": "Never",  # the Job makes a new pod; the policy above needs it so
        "automountServiceAccountToken": False,
        "securityContext": {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}},
        **kubeflow.placement(kubeflow.steps.trainer),
        "containers": [
            _container(config, job)
            | {
                "volumeMounts": [
                    {"name": "config", "mountPath": str(_CONFIG_FILE.parent), "readOnly": True},
                    *({"name": name, "mountPath": path} for name, (_, path) in mounts.items()),
                ]
            }
        ],
        "volumes": [
            {"name": "config", "configMap": {"name": job.name}},
            *({"name": name, "persistentVolumeClaim": {"claimName": claim}} for name, (claim, _) in mounts.items()),
        ],
    }
    return spec | ({"imagePullSecrets": [{"name": kubeflow.image_pull_secret}]} if kubeflow.image_pull_secret else {})


def _container(config: PipelineConfig, job: WorkerJob) -> Manifest:
    step = config.kubeflow.steps.trainer
    resources = {"cpu": step.cpu, "memory": step.memory} | ({GPU: step.gpus} if step.gpus else {})
    places = ("--records", job.records, "--model", job.model, "--state", job.state)
    return {
        "name": _CONTAINER,
        "image": config.kubeflow.image,
        "command": ["shiftvit", "train", "--config", str(_CONFIG_FILE), *places],
        "env": [*_environment(config.kubeflow), *_cluster(job)],
        "resources": {"requests": resources, "limits": resources},
        "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
    }


def _environment(kubeflow: KubeflowConfig) -> list[Manifest]:
    plain = [{"name": name, "value": value} for name, value in kubeflow.environment]
    return plain + [
        {"name": name, "valueFrom": {"secretKeyRef": {"name": secret, "key": key}}}
        for name, secret, key in kubeflow.secret_variables
    ]


def _cluster(job: WorkerJob) -> list[Manifest]:
    """Returns the variables that tell a pod its place; Kubernetes expands the one in the other."""
    addresses = json.dumps([f"{job.name}-{index}.{job.name}:{_PORT}" for index in range(job.workers)])
    config = f'{{"cluster": {{"worker": {addresses}}}, "task": {{"type": "worker", "index": $({_INDEX})}}}}'
    field = {"fieldPath": f"metadata.annotations['{_INDEX_ANNOTATION}']"}
    return [{"name": _INDEX, "valueFrom": {"fieldRef": field}}, {"name": TF_CONFIG, "value": config}]
