"""The workers of a multi-worker training, from the environment variable TF_CONFIG. Imports no TensorFlow."""

import json
import os
import re
import socket
import time
from dataclasses import dataclass
from typing import Any

from shiftvit.config import require
from shiftvit.errors import ConfigError, UserError

TF_CONFIG = "TF_CONFIG"
_WORKER = "worker"
_PAUSE = 0.5  # seconds between two attempts to reach the others
_EXAMPLE = '{"cluster": {"worker": ["HOST:PORT", ...]}, "task": {"type": "worker", "index": 0}}'


@dataclass(frozen=True)
class Cluster:
    """The workers of one training. The first is the chief, which alone saves the results."""

    workers: tuple[str, ...]  # HOST:PORT of each
    index: int  # of this process among them

    @property
    def address(self) -> str:
        """HOST:PORT of this process."""
        return self.workers[self.index]


def read_cluster() -> Cluster | None:
    """Returns the cluster in TF_CONFIG, or None if this process trains alone.

    Raises:
        ConfigError: if TF_CONFIG does not describe workers and the place of this process among them.
    """
    text = os.environ.get(TF_CONFIG, "")
    if not text:
        return None
    try:
        content = json.loads(text)
    except ValueError as error:
        raise ConfigError(f"{TF_CONFIG} is not JSON ({error}); it must look like {_EXAMPLE}") from error
    cluster, task = (_table(content, key) for key in ("cluster", "task"))
    workers = _read_workers(cluster)
    require(task.get("type") == _WORKER, f"{TF_CONFIG}: task.type={task.get('type')!r} must be {_WORKER!r}")
    index = task.get("index")
    if type(index) is not int or not 0 <= index < len(workers):
        raise ConfigError(
            f"{TF_CONFIG}: task.index={index!r} must be from 0 to {len(workers) - 1}, one of the {len(workers)} workers"
        )
    return Cluster(workers, index) if len(workers) > 1 else None


def _table(content: object, key: str) -> dict[str, Any]:
    value = content.get(key) if isinstance(content, dict) else None
    return value if isinstance(value, dict) else {}


def _read_workers(cluster: dict[str, Any]) -> tuple[str, ...]:
    workers = cluster.get(_WORKER)
    if not isinstance(workers, list) or not workers:
        raise ConfigError(f"{TF_CONFIG} has no list cluster.worker; it must look like {_EXAMPLE}")
    others = ", ".join(f"cluster.{job}" for job in cluster if job != _WORKER)
    require(not others, f"{TF_CONFIG} has {others}, but only workers are supported, the first of them as the chief")
    for address in workers:
        require(
            isinstance(address, str) and bool(re.fullmatch(r"\S+:\d+", address)) and _port(address) < 2**16,
            f"{TF_CONFIG}: cluster.worker has {address!r}, which is not HOST:PORT",
        )
    require(len(set(workers)) == len(workers), f"{TF_CONFIG}: cluster.worker names one address twice")
    return tuple(workers)


def is_chief() -> bool:
    """Returns True if this process saves the results: it trains alone, or is the first worker."""
    cluster = read_cluster()
    return cluster is None or cluster.index == 0


def wait_for_workers(cluster: Cluster, minutes: float) -> None:
    """Blocks until every worker listens at its address. TensorFlow waits too, but ignores Ctrl-C and SIGTERM.

    Raises:
        ConfigError: if this worker cannot listen at its own address.
        UserError: if another worker does not listen within `minutes`.
    """
    missing = [address for address in cluster.workers if address != cluster.address]
    deadline = time.monotonic() + 60 * minutes
    with _listen(cluster):
        while missing := [address for address in missing if not _listens(address)]:
            if time.monotonic() > deadline:
                raise UserError(
                    f"no worker answered at {', '.join(missing)} within {minutes:g} minutes: start the same "
                    f"command there, or remove it from {TF_CONFIG}"
                )
            time.sleep(_PAUSE)


def _listen(cluster: Cluster) -> socket.socket:
    both = socket.has_dualstack_ipv6()
    family = socket.AF_INET6 if both else socket.AF_INET
    try:
        return socket.create_server(("", _port(cluster.address)), family=family, dualstack_ipv6=both)
    except (OSError, OverflowError) as error:
        raise ConfigError(
            f"{TF_CONFIG}: cannot listen at {cluster.address}, this worker's address ({error})"
        ) from error


def _listens(address: str) -> bool:
    host = address.rpartition(":")[0].strip("[]")
    try:
        socket.create_connection((host, _port(address)), timeout=5).close()
    except OSError:
        return False
    return True


def _port(address: str) -> int:
    return int(address.rpartition(":")[2])
