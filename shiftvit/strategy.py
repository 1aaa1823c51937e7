"""The distribution strategy: over the devices of this machine, or of every worker in TF_CONFIG."""

import functools
import signal

import tensorflow as tf

from shiftvit import proxies
from shiftvit.cluster import TF_CONFIG, Cluster, read_cluster
from shiftvit.config import require
from shiftvit.errors import ConfigError, UserError, one_line


@functools.cache
def make_strategy(replicas: int = 0) -> tf.distribute.Strategy:
    """Returns the process's only strategy; a second MirroredStrategy would crash in its collectives.

    If TF_CONFIG names several workers, it spans all their devices, and this call blocks until all of them have joined.

    Args:
        replicas: number of GPUs, 0 for all of them; on a machine without GPUs, the number of logical CPU devices.

    Raises:
        ConfigError: if there are fewer GPUs, or TensorFlow has already started with fewer CPU devices.
        UserError: if this worker cannot join the others.
    """
    cluster, gpus = read_cluster(), tf.config.list_physical_devices("GPU")
    if cluster is not None:
        return _join(cluster, replicas, max(len(gpus), 1))
    if replicas > len(gpus) > 0:
        raise ConfigError(f"train.replicas={replicas}, but this machine has {len(gpus)} GPUs")
    if gpus:
        return tf.distribute.MirroredStrategy([f"/gpu:{i}" for i in range(replicas or len(gpus))])
    devices = _logical_cpus(max(replicas, 1))
    return tf.distribute.MirroredStrategy(devices, cross_device_ops=tf.distribute.ReductionToOneDevice())


def _join(cluster: Cluster, replicas: int, devices: int) -> tf.distribute.MultiWorkerMirroredStrategy:
    require(
        replicas in (0, devices),
        f"train.replicas={replicas}, but {TF_CONFIG} names several workers, and each of them trains on all its devices "
        f"(here {devices}): leave it at 0",
    )
    proxies.bypass(address.rpartition(":")[0].strip("[]") for address in cluster.workers)
    on_terminate = signal.getsignal(signal.SIGTERM)
    try:
        strategy = tf.distribute.MultiWorkerMirroredStrategy()
    except tf.errors.OpError as error:
        raise UserError(
            f"{TF_CONFIG}: worker {cluster.index} at {cluster.address} could not join the others ({one_line(error)})"
        ) from error
    signal.signal(signal.SIGTERM, on_terminate)  # TensorFlow's handler takes it as a preemption notice and trains on
    return strategy


def _logical_cpus(count: int) -> list[str]:
    cpu = tf.config.list_physical_devices("CPU")[0]
    if count > 1:
        try:
            tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * count)
        except RuntimeError as error:
            raise ConfigError(
                f"train.replicas={count} must be set before TensorFlow starts: call make_strategy first in the process"
            ) from error
    return [f"/cpu:{i}" for i in range(count)]


def barrier(strategy: tf.distribute.Strategy) -> None:
    """Blocks until every worker has called it."""

    @tf.function
    def all_reduce() -> tf.Tensor:
        return strategy.run(lambda: tf.distribute.get_replica_context().all_reduce("sum", tf.constant(1.0)))

    all_reduce()
