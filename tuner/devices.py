"""Divides the GPUs of this machine, or its cores if it has none, among the workers of a search."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

import tensorflow as tf

from shiftvit.config import ExperimentConfig, require
from tuner.config import TuneConfig

GPUS_VARIABLE = "CUDA_VISIBLE_DEVICES"

T = TypeVar("T")


@dataclass(frozen=True)
class DeviceSet:
    """The devices of one worker, in the form in which its command restricts it to them; by default all."""

    environment: Mapping[str, str] = field(default_factory=dict)  # variables that name its GPUs
    arguments: Sequence[str] = ()  # of `tuner.worker`, that name its cores


def divide(workers: int) -> list[DeviceSet]:
    """Returns equally many devices for each worker; a remainder stays unused."""
    if gpus := _gpus():
        return [DeviceSet({GPUS_VARIABLE: ",".join(part)}) for part in _split(gpus, workers)]
    if workers == 1:
        return [DeviceSet()]
    cores = sorted(os.sched_getaffinity(0))
    return [DeviceSet(arguments=["--cores", *map(str, part)]) for part in _split(cores, workers)]


def check(tune: TuneConfig, experiment: ExperimentConfig) -> None:
    """Checks the settings against the devices of this machine.

    Raises:
        ConfigError: if there are more workers than devices, or the GPUs of a worker do not fit `train.replicas` and
            `train.batch_size`.
    """
    gpus, cores = len(_gpus()), len(os.sched_getaffinity(0))
    devices, kind = (gpus, "GPUs") if gpus else (cores, "cores")
    require(
        tune.workers <= devices,
        f"tune.workers={tune.workers}, but this machine has {devices} {kind}: each worker needs one of its own",
    )
    gpus_per_worker = gpus // max(tune.workers, 1)
    if gpus_per_worker:
        replicas, batch = experiment.train.replicas, experiment.train.batch_size
        require(
            replicas <= gpus_per_worker,
            f"train.replicas={replicas}, but each of tune.workers={tune.workers} has {gpus_per_worker} of the "
            f"{gpus} GPUs",
        )
        require(
            batch % (replicas or gpus_per_worker) == 0,
            f"train.batch_size={batch} is not divisible by the {replicas or gpus_per_worker} GPUs of each worker",
        )


def _gpus() -> list[str]:
    """Returns CUDA's names of the GPUs that this process may use."""
    count = len(tf.config.list_physical_devices("GPU"))
    visible = os.environ.get(GPUS_VARIABLE)
    return visible.split(",")[:count] if visible else [str(index) for index in range(count)]


def _split(devices: Sequence[T], workers: int) -> list[Sequence[T]]:
    size = len(devices) // max(workers, 1)
    return [devices[index * size : (index + 1) * size] for index in range(workers)]
