"""The devices of a training: those of this machine, or of every worker that TF_CONFIG names."""

import functools
import signal

import tensorflow as tf

from shiftvit.cluster import TF_CONFIG, Cluster, read_cluster
from shiftvit.config import require
from shiftvit.errors import ConfigError, UserError, one_line


@functools.cache
def make_strategy(replicas: int = 0) -> tf.distribute.Strategy:
    """Returns the strategy over `replicas` GPUs (0: all), or over as many logical CPU devices where there is no GPU.

    Where TF_CONFIG names several workers, it is over all devices of all of them, and waits until every worker is here.
    One per process: a second MirroredStrategy after a first one crashes in its collectives.

    Raises:
        ConfigError: when there are fewer GPUs, or TensorFlow has already started with fewer CPU devices.
        UserError: when this worker cannot join the others.
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
        f"train.replicas={replicas}, but where {TF_CONFIG} names several workers, each trains on all its devices "
        f"(here {devices}): leave it at 0",
    )
    on_terminate = signal.getsignal(signal.SIGTERM)
    try:
        strategy = tf.distribute.MultiWorkerMirroredStrategy()
    except tf.errors.OpError as error:
        raise UserError(
            f"{TF_CONFIG}: worker {cluster.index} at {cluster.address} could not join the others ({one_line(error)})"
        ) from error
    signal.signal(signal.SIGTERM, on_terminate)  # TensorFlow takes it for an announcement, and works on
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


def wait_for_all(strategy: tf.distribute.Strategy) -> None:
    """Returns when every worker has called it."""

    @tf.function
    def meet():
        return strategy.run(lambda: tf.distribute.get_replica_context().all_reduce("sum", tf.constant(1.0)))

    meet()
