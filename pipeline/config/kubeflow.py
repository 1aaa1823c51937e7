"""Settings for Kubeflow: image, resources, environment, volumes and placement of the steps. Imports nothing heavy."""

import re
from collections.abc import Collection
from dataclasses import dataclass, fields
from pathlib import PurePosixPath
from typing import Any, Literal

from pipeline.config.image import FORM, is_image
from shiftvit.config import require
from shiftvit.ranges import check_ranges, number

GPU = "nvidia.com/gpu"
QUANTITY = re.compile(r"[0-9]{1,15}(\.[0-9]{1,9})?([munkMGTPE]|[KMGTPE]i)?")  # a Kubernetes quantity

_VARIABLE = r"[A-Za-z_][A-Za-z0-9_]*"
_DNS_LABEL = r"[a-z0-9]([a-z0-9-]*[a-z0-9])?"
_NAME = rf"(?=[^:/]{{1,253}}([:/]|$)){_DNS_LABEL}(\.{_DNS_LABEL})*"  # of a Kubernetes object
_WORD = r"[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?"
_LABEL, _VALUE = rf"({_NAME}/)?{_WORD}", rf"({_WORD})?"
_PATH = r"/(?!(.*/)?\.\.(/|$))[^:]*"  # absolute, without ..
_CLAIM = r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?"  # shorter: the claim's name is also the name of the pod's volume
_EFFECTS = ("NoSchedule", "PreferNoSchedule", "NoExecute")
_FOLDER_ON_VOLUME = "the absolute path of a folder on a volume"
_FORMS = {  # pattern and description of a setting, or of each of its entries
    "pipeline_root": (r"((minio|s3|gs)://[^/].*)?", "a folder in a bucket of minio://, s3:// or gs://"),
    "image_pull_secret": (rf"({_NAME})?", "the name of a Kubernetes secret"),
    "state": (rf"({_PATH})?", _FOLDER_ON_VOLUME),
    "push_destination": (_PATH, _FOLDER_ON_VOLUME),
    "env": (rf"{_VARIABLE}=.*", "NAME=VALUE"),
    "secrets": (rf"{_VARIABLE}={_NAME}:[A-Za-z0-9._-]+", "NAME=SECRET:KEY, such as TOKEN=my-secret:token"),
    "volumes": (rf"{_CLAIM}:{_PATH}", "CLAIM:/PATH, such as datasets:/data"),
    "node_selector": (rf"{_LABEL}={_VALUE}", "LABEL=VALUE, such as disktype=ssd"),
    "tolerations": (
        rf"{_LABEL}(={_VALUE})?:({'|'.join(_EFFECTS)})",
        f"KEY:EFFECT or KEY=VALUE:EFFECT, with an effect of {', '.join(_EFFECTS)}",
    ),
}
_FORMS |= {f"gpu_{name}": _FORMS[name] for name in ("node_selector", "tolerations")}


@dataclass(frozen=True)
class StepConfig:
    """Resources of one step."""

    cpu: str = "1"  # cores, as a Kubernetes quantity; both request and limit
    memory: str = "4Gi"  # bytes, as a Kubernetes quantity; both request and limit
    gpus: int = number(0, 0, 64)  # number of GPUs

    def check(self, key: str) -> None:
        """Raises ConfigError, naming `key`, if Kubernetes would reject a value."""
        check_ranges(self, key)
        for name, value in (("cpu", self.cpu), ("memory", self.memory)):
            require(QUANTITY.fullmatch(value), f"{key}.{name}={value} is not a Kubernetes quantity such as 500m or 8Gi")
            require(re.search("[1-9]", value), f"{key}.{name}={value} must be more than nothing")


_LIGHT = StepConfig(cpu="500m", memory="2Gi")


@dataclass(frozen=True)
class StepsConfig:
    """Resources of each step: a field for each node of the graph, named as the node in snake case."""

    image_example_gen: StepConfig = StepConfig(cpu="2")
    statistics_gen: StepConfig = StepConfig(cpu="2")
    dataset_schema: StepConfig = _LIGHT
    example_validator: StepConfig = _LIGHT
    data_gate: StepConfig = _LIGHT
    tuner: StepConfig = StepConfig(cpu="8", memory="32Gi", gpus=1)
    trainer: StepConfig = StepConfig(cpu="8", memory="32Gi", gpus=1)
    baseline: StepConfig = _LIGHT
    evaluator: StepConfig = StepConfig(cpu="2", memory="8Gi")
    canary: StepConfig = StepConfig()
    lite_export: StepConfig = StepConfig(cpu="2")
    pusher: StepConfig = _LIGHT

    def __post_init__(self) -> None:
        for step in fields(self):
            getattr(self, step.name).check(f"kubeflow.steps.{step.name}")

    def of(self, node: str) -> StepConfig:
        """Returns the resources of the node with that id, such as ImageExampleGen.

        A node without a field gets the defaults of StepConfig, so that a new component compiles before it has one.
        """
        name = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", node).lower()
        return getattr(self, name, StepConfig())


@dataclass(frozen=True)
class KubeflowConfig:
    """How the graph runs on Kubeflow Pipelines (KFP)."""

    image: str = ""  # container image of all steps, built by `make image`, under the name by which the cluster pulls it
    image_pull_secret: str = ""  # Kubernetes secret for pulling the image; empty: none
    pipeline_root: str = ""  # folder of an object store for the artifacts; empty: the KFP installation's default
    state: str = ""  # folder on a volume from which killed trainings and searches resume; empty: they start over
    push_destination: str = "/serving/shiftvit"  # folder on a volume for pushed versions, as TensorFlow Serving reads
    refused: Literal["pass", "fail"] = (
        "pass"  # whether a run whose model is refused passes, with the reasons in a step's log, or fails
    )
    env: tuple[str, ...] = ()  # environment variables of every step, as NAME=VALUE
    secrets: tuple[str, ...] = ()  # environment variables from secrets, for every step, as NAME=SECRET:KEY
    volumes: tuple[str, ...] = ()  # persistent volume claims and their mount paths in every step, as CLAIM:/PATH
    node_selector: tuple[str, ...] = ()  # labels of the nodes on which every step may run, as LABEL=VALUE
    tolerations: tuple[str, ...] = ()  # taints that every step tolerates, as KEY:EFFECT or KEY=VALUE:EFFECT
    gpu_node_selector: tuple[str, ...] = ()  # further labels for steps with GPUs
    gpu_tolerations: tuple[str, ...] = (f"{GPU}:NoSchedule",)  # further taints for steps with GPUs
    steps: StepsConfig = StepsConfig()

    def __post_init__(self) -> None:
        require(not self.image or is_image(self.image), f"kubeflow.image={self.image!r} is not {FORM}")
        for name, (pattern, form) in _FORMS.items():
            value = getattr(self, name)
            for text in [value] if isinstance(value, str) else value:
                require(re.fullmatch(pattern, text), f"kubeflow.{name}: {text!r} is not {form}")
        require(
            len(self.mounts) == len(self.volumes),
            f"kubeflow.volumes={','.join(self.volumes)}: Kubernetes mounts each claim only once in a step",
        )
        require(
            len(set(self.mounts.values())) == len(self.mounts),
            f"kubeflow.volumes={','.join(self.volumes)}: two claims cannot have the same path",
        )

    @property
    def environment(self) -> list[dict[str, str]]:
        """The variables in `env`, as a container declares them."""
        return [{"name": name, "value": value} for name, _, value in (text.partition("=") for text in self.env)]

    @property
    def secret_variables(self) -> list[tuple[str, str, str]]:
        """Variable name, secret and key of each entry in `secrets`."""
        entries = (re.split("[=:]", text) for text in self.secrets)
        return [(variable, secret, key) for variable, secret, key in entries]

    @property
    def mounts(self) -> dict[str, str]:
        """Mount path of each claim in `volumes`."""
        return {claim: path for claim, _, path in (text.partition(":") for text in self.volumes)}

    def placement(self, step: StepConfig) -> dict[str, Any]:
        """Returns `nodeSelector` and `tolerations` for the pod of a step."""
        selector, tolerations = self.node_selector, self.tolerations
        if step.gpus:
            selector, tolerations = selector + self.gpu_node_selector, tolerations + self.gpu_tolerations
        return {
            "nodeSelector": dict(text.split("=") for text in selector),
            "tolerations": [_toleration(text) for text in tolerations],
        }

    def require_volume(self, key: str, path: str) -> None:
        """Raises ConfigError, naming `key`, unless `path` is on a volume: elsewhere it is lost with the container."""
        require_mounted(key, path, self.mounts.values())


def require_mounted(key: str, path: str, mounts: Collection[str]) -> None:
    """Raises ConfigError, naming `key`, unless `path` is below one of the mount paths."""
    require(
        any(PurePosixPath(path).is_relative_to(mount) for mount in mounts),
        f"{key}={path} is on no volume (mounted: {', '.join(sorted(mounts)) or 'none'}): "
        "--set kubeflow.volumes=CLAIM:/PATH mounts a persistent volume claim",
    )


def _toleration(text: str) -> dict[str, str]:
    condition, _, effect = text.rpartition(":")
    key, equal, value = condition.partition("=")
    match = {"operator": "Equal", "value": value} if equal else {"operator": "Exists"}
    return {"key": key, **match, "effect": effect}
