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
_CHIEF, _WORKER = "chief", "worker"
_PAUSE = 0.5  # seconds between two attempts to reach the others
_EXAMPLE = '{"cluster": {"worker": ["HOST:PORT", ...]}, "task": {"type": "worker", "index": 0}}'


@dataclass(frozen=True)
class Cluster:
    """The workers of one training, a job named `chief` first. The first of them alone saves the results."""

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
    jobs = {job: _read_job(cluster, job) for job in (_CHIEF, _WORKER) if job in cluster or job == _WORKER}
    _check(cluster, jobs)
    job, index = str(task.get("type")), task.get("index")
    require(job in jobs, f"{TF_CONFIG}: task.type={job!r} must be {' or '.join(map(repr, jobs))}")
    count = len(jobs[job])
    if type(index) is not int or not 0 <= index < count:
        raise ConfigError(
            f"{TF_CONFIG}: task.index={index!r} must be from 0 to {count - 1}, one of the {count} in cluster.{job}"
        )
    workers = tuple(address for addresses in jobs.values() for address in addresses)
    return Cluster(workers, workers.index(jobs[job][index])) if len(workers) > 1 else None


def _table(content: object, key: str) -> dict[str, Any]:
    value = content.get(key) if isinstance(content, dict) else None
    return value if isinstance(value, dict) else {}


def _read_job(cluster: dict[str, Any], job: str) -> tuple[str, ...]:
    addresses = cluster.get(job)
    if not isinstance(addresses, list) or not addresses:
        raise ConfigError(f"{TF_CONFIG} has no list cluster.{job}; it must look like {_EXAMPLE}")
    for address in addresses:
        require(
            isinstance(address, str) and bool(re.fullmatch(r"\S+:\d+", address)) and _port(address) < 2**16,
            f"{TF_CONFIG}: cluster.{job} has {address!r}, which is not HOST:PORT",
        )
    return tuple(addresses)


def _check(cluster: dict[str, Any], jobs: dict[str, tuple[str, ...]]) -> None:
    others = ", ".join(f"cluster.{job}" for job in cluster if job not in jobs)
    require(not others, f"{TF_CONFIG} has {others}, but only a chief and workers are supported")
    chiefs = len(jobs.get(_CHIEF, ()))
    require(chiefs <= 1, f"{TF_CONFIG}: cluster.{_CHIEF} has {chiefs} addresses; there can be one chief")
    addresses = [address for job in jobs.values() for address in job]
    require(len(set(addresses)) == len(addresses), f"{TF_CONFIG}: cluster names one address twice")


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
