"""Keeps traffic between our own processes off proxies. Standard library only.

gRPC, which search, Beam and TensorFlow talk over, sends even 127.0.0.1 through a proxy that the environment names, and
then waits for an answer that never comes. It reads its variables in lower case only, takes `no_grpc_proxy` in place of
`no_proxy` where both are set, and knows no `*`; `requests` and `urllib` read `no_proxy` in both cases.
"""

import os
import socket
from collections.abc import Iterable

_VARIABLES = ("no_grpc_proxy", "no_proxy", "NO_PROXY")  # of hosts that are reached without a proxy
_EVERY_HOST = "*"


def bypass(hosts: Iterable[str] = ()) -> None:
    """Has this process and its children reach this host, and `hosts`, without a proxy, whatever the environment says.

    Args:
        hosts: names or addresses of other hosts with processes of ours, without ports.
    """
    own = ["localhost", "127.0.0.1", "::1", "0.0.0.0", socket.gethostname(), *_outward_addresses(), *hosts]
    general = os.environ.get("no_proxy") or os.environ.get("NO_PROXY") or ""
    for name in _VARIABLES:
        given = os.environ.get(name) or general
        entries = [entry.strip() for entry in given.split(",") if entry.strip()]
        if name != "no_grpc_proxy" and entries == [_EVERY_HOST]:
            continue  # Python's libraries take it alone for every host, but not as one of several
        os.environ[name] = ",".join(dict.fromkeys([*entries, *filter(None, own)]))


def _outward_addresses() -> list[str]:
    """Returns the address that other hosts see of this one, if it has a network. Sends nothing."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # an address for documentation
        except OSError:
            return []
        return [probe.getsockname()[0]]
