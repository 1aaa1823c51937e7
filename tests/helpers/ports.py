"""Free TCP ports for servers that must know their port before they start."""

import contextlib
import random
import socket


def free_ports(count: int) -> list[int]:
    """Returns ports below the kernel's ephemeral range, so that no other process is handed one of them."""
    ports = []
    with contextlib.ExitStack() as servers:
        while len(ports) < count:
            port = random.SystemRandom().randrange(20_000, 32_000)
            with contextlib.suppress(OSError):
                servers.enter_context(socket.create_server(("127.0.0.1", port)))
                ports.append(port)
    return ports
