"""What Kubernetes gives each step: image, resources, environment, volumes, placement. Imports nothing heavy."""

import dataclasses
import re
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any

from shiftvit.config import require

GPU = "nvidia.com/gpu"
QUANTITY = re.compile(r"\d+(\.\d+)?([munkMGTPE]|[KMGTPE]i)?")  # of Kubernetes

_FACTORS = {"": 1, "m": 1e-3, "u": 1e-6, "n": 1e-9} | {
    letter + binary: (1024 if binary else 1000) ** power
    for power, letter in enumerate("kMGTPE", 1)
    for binary in ("", "i")
}

_VARIABLE = r"[A-Za-z_][A-Za-z0-9_]*"
_LABEL = r"[A-Za-z0-9][A-Za-z0-9._/-]*"
_VALUE = r"[A-Za-z0-9._-]*"
_NAME = r"[a-z0-9]([a-z0-9.-]*[a-z0-9])?"  # of an object of Kubernetes
_CLAIM = r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?"  # the pod's volume gets the claim's name, and takes less
_EFFECTS = ("NoSchedule", "PreferNoSchedule", "NoExecute")
_FORMS = {
    "env": (rf"{_VARIABLE}=.*", "NAME=VALUE"),
    "secrets": (rf"{_VARIABLE}={_NAME}:[A-Za-z0-9._-]+", "NAME=SECRET:KEY, such as TOKEN=my-secret:token"),
    "volumes": (rf"{_CLAIM}:/.+", "CLAIM:/PATH, such as datasets:/data"),
    "node_selector": (rf"{_LABEL}={_VALUE}", "LABEL=VALUE, such as disktype=ssd"),
    "tolerations": (
        rf"{_LABEL}(={_VALUE})?:({'|'.join(_EFFECTS)})",
        f"KEY:EFFECT or KEY=VALUE:EFFECT, with an effect of {', '.join(_EFFECTS)}",
    ),
}


def amount(quantity: str) -> float:
    """Returns the number that a quantity of Kubernetes stands for."""
    digits = quantity.rstrip("munkKMGTPEi")
    return float(digits) * _FACTORS[quantity.removeprefix(digits).replace("K", "k")]


@dataclass(frozen=True)
class StepConfig:
    """What one step may use."""

    cpu: str = "1"  # quantities of Kubernetes, which are requested and are the limit too
    memory: str = "4Gi"
    gpus: int = 0

    def check(self, key: str) -> None:
        """Raises ConfigError, naming `key`, when Kubernetes would not take it."""
        for name in ("cpu", "memory"):
            value = getattr(self, name)
            require(
                bool(QUANTITY.fullmatch(value)),
                f"{key}.{name}={value} is not a quantity of Kubernetes, such as 500m, 2 or 8Gi",
            )
        require(self.gpus >= 0, f"{key}.gpus must not be negative")


_LIGHT = StepConfig(cpu="500m", memory="2Gi")


@dataclass(frozen=True)
class StepsConfig:
    """What each step may use: a field for each node of the graph."""

    cifar10_example_gen: StepConfig = StepConfig(cpu="2")
    statistics_gen: StepConfig = StepConfig(cpu="2")
    import_schema_gen: StepConfig = _LIGHT
    example_validator: StepConfig = _LIGHT
    data_gate: StepConfig = _LIGHT
    tuner: StepConfig = StepConfig(cpu="8", memory="32Gi", gpus=1)
    trainer: StepConfig = StepConfig(cpu="8", memory="32Gi", gpus=1)
    baseline: StepConfig = _LIGHT
    evaluator: StepConfig = StepConfig(cpu="2", memory="8Gi")
    canary: StepConfig = StepConfig()
    pusher: StepConfig = _LIGHT

    def __post_init__(self):
        for step in dataclasses.fields(self):
            getattr(self, step.name).check(f"kubeflow.steps.{step.name}")

    def of(self, node: str) -> StepConfig:
        """Returns what the node of that id may use: what Cifar10ExampleGen may is in `cifar10_example_gen`."""
        return getattr(self, re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", node).lower())


@dataclass(frozen=True)
class KubeflowConfig:
    """How the graph runs on Kubeflow Pipelines.

    Environment, secrets, volumes, `node_selector` and `tolerations` are those of every step; what begins with `gpu_`
    is added where a step asks for GPUs.
    """

    image: str = ""  # that `make image` built, by the name the cluster pulls it by
    image_pull_secret: str = ""
    pipeline_root: str = ""  # folder of an object store for the artifacts; by default that of the installation
    state: str = ""  # folder of a volume, which killed trainings and searches resume from; by default they start anew
    push_destination: str = "/serving/shiftvit"  # folder of a volume, in TensorFlow Serving's layout
    env: tuple[str, ...] = ()  # NAME=VALUE
    secrets: tuple[str, ...] = ()  # NAME=SECRET:KEY: an environment variable from a secret
    volumes: tuple[str, ...] = ()  # CLAIM:/PATH: a persistent volume claim and where it is mounted
    node_selector: tuple[str, ...] = ()  # LABEL=VALUE
    tolerations: tuple[str, ...] = ()  # KEY:EFFECT or KEY=VALUE:EFFECT
    gpu_node_selector: tuple[str, ...] = ()
    gpu_tolerations: tuple[str, ...] = (f"{GPU}:NoSchedule",)  # which nodes with GPUs commonly ask for
    steps: StepsConfig = field(default_factory=StepsConfig)

    def __post_init__(self):
        for name in (f.name for f in dataclasses.fields(self)):
            pattern, form = _FORMS.get(name.removeprefix("gpu_"), ("", ""))
            for text in getattr(self, name) if pattern else ():
                require(bool(re.fullmatch(pattern, text)), f"kubeflow.{name}: {text!r} is not {form}")
        claims = [volume.partition(":")[0] for volume in self.volumes]
        require(
            len(set(claims)) == len(claims),
            f"kubeflow.volumes={','.join(self.volumes)}: Kubernetes takes each claim once in a step",
        )
        require(
            not self.pipeline_root or bool(re.match(r"(minio|s3|gs)://[^/]", self.pipeline_root)),
            f"kubeflow.pipeline_root={self.pipeline_root} must begin with minio://, s3:// or gs:// and a bucket",
        )
        require(
            not self.state or self.state.startswith("/"),
            f"kubeflow.state={self.state} must be the absolute path of a folder on a volume",
        )
        require(
            self.push_destination.startswith("/"),
            f"kubeflow.push_destination={self.push_destination} must be the absolute path of a folder on a volume",
        )

    @property
    def environment(self) -> list[tuple[str, str]]:
        """Name and value of each variable of `env`."""
        return [(name, value) for name, _, value in (text.partition("=") for text in self.env)]

    @property
    def secret_variables(self) -> list[tuple[str, str, str]]:
        """Name of the variable, secret and key of each of `secrets`."""
        return [tuple(re.split("[=:]", text)) for text in self.secrets]

    @property
    def mounts(self) -> dict[str, str]:
        """Path of each claim of `volumes`."""
        return {claim: path for claim, _, path in (text.partition(":") for text in self.volumes)}

    def placement(self, step: StepConfig) -> dict[str, Any]:
        """Returns node selector and tolerations of a step, as a pod has them."""
        selector, tolerations = self.node_selector, self.tolerations
        if step.gpus:
            selector, tolerations = selector + self.gpu_node_selector, tolerations + self.gpu_tolerations
        return {
            "nodeSelector": dict(text.split("=") for text in selector),
            "tolerations": [_toleration(text) for text in tolerations],
        }

    def require_volume(self, key: str, path: str) -> None:
        """Raises ConfigError, naming `key`, when `path` would be lost with a container: when it is on no volume."""
        require(
            any(PurePosixPath(path).is_relative_to(mount) for mount in self.mounts.values()),
            f"{key}={path} is on no volume ({', '.join(self.mounts.values()) or 'there is none'}): "
            "--set kubeflow.volumes=CLAIM:/PATH mounts a persistent volume claim",
        )


def _toleration(text: str) -> dict[str, str]:
    condition, _, effect = text.rpartition(":")
    key, equal, value = condition.partition("=")
    match = {"operator": "Equal", "value": value} if equal else {"operator": "Exists"}
    return {"key": key, **match, "effect": effect}
