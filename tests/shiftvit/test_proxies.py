"""Traffic to this machine's own processes, where the environment names a proxy that does not answer."""

import os
import socket
import urllib.request
from concurrent import futures

import grpc
import pytest
from requests.utils import should_bypass_proxies
from waiting import HANG_SECONDS

from shiftvit import proxies

DEAD = "http://127.0.0.1:9"
EXEMPTIONS = ("no_proxy", "NO_PROXY", "no_grpc_proxy")
LOWER = tuple(f"{name}_proxy" for name in ("http", "https", "all", "grpc"))
NAMES = [*LOWER, *map(str.upper, LOWER)]


@pytest.fixture(autouse=True)
def environment(monkeypatch):
    """Has no proxy, and is restored afterwards."""
    for name in (*NAMES, *EXEMPTIONS):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def address():
    """The address of a gRPC server."""
    server = grpc.server(futures.ThreadPoolExecutor(1))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    yield f"127.0.0.1:{port}"
    server.stop(None)


@pytest.mark.parametrize(
    "exempt", [{}, {"no_proxy": "example.com"}, {"no_grpc_proxy": "example.com"}, {"NO_PROXY": "*"}]
)
@pytest.mark.parametrize("name", NAMES)
def test_grpc_reaches_this_machine(monkeypatch, address, name, exempt):
    for variable, value in ({name: DEAD} | exempt).items():
        monkeypatch.setenv(variable, value)
    proxies.bypass()

    with grpc.insecure_channel(address) as channel:
        grpc.channel_ready_future(channel).result(HANG_SECONDS)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::1]", socket.gethostname(), "worker7"])
def test_http_libraries_bypass_the_proxy(monkeypatch, host):
    monkeypatch.setenv("http_proxy", DEAD)
    monkeypatch.setenv("NO_PROXY", "intranet.example, .corp.example")
    proxies.bypass(["worker7"])

    assert should_bypass_proxies(f"http://{host}:8501/", no_proxy=None)
    assert urllib.request.proxy_bypass(host.strip("[]"))
    assert not should_bypass_proxies("http://example.com/", no_proxy=None)
    assert should_bypass_proxies("http://intranet.example/", no_proxy=None), "what the user exempts stays exempt"


def test_every_host_stays_exempt(monkeypatch):
    monkeypatch.setenv("http_proxy", DEAD)
    monkeypatch.setenv("no_proxy", "*")
    proxies.bypass()

    assert urllib.request.proxy_bypass("example.com")
    assert "127.0.0.1" in dict(os.environ)["no_grpc_proxy"].split(",")


def test_a_second_call_adds_nothing():
    proxies.bypass()
    before = {name: os.environ[name] for name in EXEMPTIONS}
    proxies.bypass()

    assert {name: os.environ[name] for name in EXEMPTIONS} == before
