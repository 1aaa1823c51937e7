"""Which workers train together, as TF_CONFIG tells it. Imports no TensorFlow."""

import json
import os
import re
import socket
import time
from dataclasses import dataclass

from shiftvit.config import require
from shiftvit.errors import ConfigError, UserError

TF_CONFIG = "TF_CONFIG"
_WORKER = "worker"
_PAUSE = 0.5  # seconds between two looks for the others
_EXAMPLE = '{"cluster": {"worker": ["HOST:PORT", ...]}, "task": {"type": "worker", "index": 0}}'


@dataclass(frozen=True)
class Cluster:
    """The workers of one training; the first is the chief, which alone keeps what they make."""

    workers: tuple[str, ...]  # HOST:PORT of each
    index: int  # of this process among them

    @property
    def address(self) -> str:
        """Where this process listens."""
        return self.workers[self.index]


def read_cluster() -> Cluster | None:
    """Returns the cluster that the environment names, or None where this process trains alone.

    Raises:
        ConfigError: when TF_CONFIG is not what several workers need.
    """
    text = os.environ.get(TF_CONFIG, "")
    if not text:
        return None
    try:
        content = json.loads(text)
    except ValueError as error:
        raise ConfigError(f"{TF_CONFIG} is not JSON ({error}); it must be as {_EXAMPLE}") from error
    cluster, task = (content.get(key) if isinstance(content, dict) else None for key in ("cluster", "task"))
    workers = _read_workers(cluster)
    task = task if isinstance(task, dict) else {}
    require(task.get("type") == _WORKER, f"{TF_CONFIG}: task.type={task.get('type')!r} must be {_WORKER!r}")
    index = task.get("index")
    require(
        type(index) is int and 0 <= index < len(workers),
        f"{TF_CONFIG}: task.index={index!r} must be from 0 to {len(workers) - 1}, one of the {len(workers)} workers",
    )
    return Cluster(workers, index) if len(workers) > 1 else None


def _read_workers(cluster: object) -> tuple[str, ...]:
    workers = cluster.get(_WORKER) if isinstance(cluster, dict) else None
    require(
        isinstance(workers, list) and bool(workers), f"{TF_CONFIG} has no list cluster.worker; it must be as {_EXAMPLE}"
    )
    others = ", ".join(f"cluster.{job}" for job in cluster if job != _WORKER)
    require(not others, f"{TF_CONFIG} has {others}, but only workers train here, the first of them as the chief")
    for address in workers:
        require(
            isinstance(address, str) and bool(re.fullmatch(r"\S+:\d+", address)) and _port(address) < 2**16,
            f"{TF_CONFIG}: cluster.worker has {address!r}, which is not HOST:PORT",
        )
    require(len(set(workers)) == len(workers), f"{TF_CONFIG}: cluster.worker has one address twice")
    return tuple(workers)


def is_chief() -> bool:
    """Says whether this process keeps what is made: it trains alone, or is the first worker."""
    cluster = read_cluster()
    return cluster is None or cluster.index == 0


def wait_for_workers(cluster: Cluster, minutes: float) -> None:
    """Returns when every worker listens at its address. TensorFlow, too, would wait, but deaf to Ctrl-C and SIGTERM.

    Raises:
        ConfigError: when this worker cannot listen at its own.
        UserError: when one of the others does not in so many minutes.
    """
    missing = [address for address in cluster.workers if address != cluster.address]
    deadline = time.monotonic() + 60 * minutes
    with _listen(cluster):
        while missing := [address for address in missing if not _listens(address)]:
            if time.monotonic() > deadline:
                raise UserError(
                    f"no worker answered at {', '.join(missing)} within {minutes:g} minutes; {TF_CONFIG} names it, "
                    "so start the same command there"
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
