"""Divides the GPUs of this machine, or its cores if it has none, among the workers of a search."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

import tensorflow as tf

from shiftvit.config import ExperimentConfig, require
from tuner.config import TuneConfig

GPUS_VARIABLE = "CUDA_VISIBLE_DEVICES"

T = TypeVar("T")


@dataclass(frozen=True)
class DeviceSet:
    """The devices of one worker: GPUs, by CUDA's names, or cores; neither is no restriction."""

    gpus: Sequence[str] = ()
    cores: Sequence[int] = ()

    def environment(self) -> dict[str, str]:
        """Returns the environment variables that restrict the worker to its GPUs."""
        return {GPUS_VARIABLE: ",".join(self.gpus)} if self.gpus else {}

    def arguments(self) -> list[str]:
        """Returns the arguments of `tuner.worker` that restrict it to its cores."""
        return ["--cores", *map(str, self.cores)] if self.cores else []


def divide(workers: int) -> list[DeviceSet]:
    """Returns equally many devices for each worker; a remainder stays unused."""
    gpus = _gpus()
    if gpus:
        return [DeviceSet(gpus=part) for part in _split(gpus, workers)]
    if workers == 1:
        return [DeviceSet()]
    return [DeviceSet(cores=part) for part in _split(sorted(os.sched_getaffinity(0)), workers)]


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
