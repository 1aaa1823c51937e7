"""Which GPUs, or else which cores, each worker of this machine gets."""

import os
from collections.abc import Sequence
from dataclasses import dataclass

import tensorflow as tf

from shiftvit.config import ExperimentConfig, require
from tuner.config import TuneConfig

GPUS_VARIABLE = "CUDA_VISIBLE_DEVICES"


@dataclass(frozen=True)
class Share:
    """What one worker may use: the names of its GPUs, or, where there are none, its cores."""

    gpus: tuple[str, ...] = ()
    cores: tuple[int, ...] = ()

    def environment(self) -> dict[str, str]:
        """Returns what its process must find in its environment."""
        return {GPUS_VARIABLE: ",".join(self.gpus)} if self.gpus else {}

    def arguments(self) -> list[str]:
        """Returns what its process must find among its arguments."""
        return ["--cores", *map(str, self.cores)] if self.cores else []


def shares(workers: int) -> list[Share]:
    """Returns an equal share for each worker; what cannot be shared out equally is left over."""
    gpus = _gpus()
    if gpus:
        return [Share(gpus=tuple(part)) for part in _split(gpus, workers)]
    if workers == 1:
        return [Share()]
    return [Share(cores=tuple(part)) for part in _split(sorted(os.sched_getaffinity(0)), workers)]


def check(tune: TuneConfig, experiment: ExperimentConfig) -> None:
    """Refuses what the devices do not allow.

    Raises:
        ConfigError: when there are more workers than devices, or a worker's GPUs do not do for a trial.
    """
    gpus, cores = len(_gpus()), len(os.sched_getaffinity(0))
    devices, kind = (gpus, "GPUs") if gpus else (cores, "cores")
    require(
        tune.workers <= devices,
        f"tune.workers={tune.workers}, but this machine has {devices} {kind}: each worker needs one of its own",
    )
    own = gpus // max(tune.workers, 1)
    if own:
        replicas, batch = experiment.train.replicas, experiment.train.batch_size
        require(
            replicas <= own,
            f"train.replicas={replicas}, but each of tune.workers={tune.workers} has {own} of the {gpus} GPUs",
        )
        require(
            batch % (replicas or own) == 0,
            f"train.batch_size={batch} is not divisible by the {replicas or own} GPUs of each worker",
        )


def _gpus() -> list[str]:
    """Returns the GPUs by the names that CUDA knows them by."""
    count = len(tf.config.list_physical_devices("GPU"))
    visible = os.environ.get(GPUS_VARIABLE)
    return visible.split(",")[:count] if visible else [str(index) for index in range(count)]


def _split(devices: Sequence, workers: int) -> list[Sequence]:
    size = len(devices) // max(workers, 1)
    return [devices[index * size : (index + 1) * size] for index in range(workers)]
