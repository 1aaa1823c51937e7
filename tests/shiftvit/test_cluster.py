import json
import socket
import threading

import pytest
from ports import free_ports
from waiting import HANG_SECONDS

from shiftvit.cluster import Cluster, is_chief, read_cluster, wait_for_workers
from shiftvit.errors import ConfigError, UserError

WORKERS = ["a:1", "b:2"]


@pytest.fixture
def environment(monkeypatch):
    """Sets TF_CONFIG to a string, or to the JSON of another value."""

    def set_config(value):
        monkeypatch.setenv("TF_CONFIG", value if isinstance(value, str) else json.dumps(value))

    return set_config


def config(workers=WORKERS, index=0, kind="worker", **jobs):
    return {"cluster": {"worker": workers, **jobs}, "task": {"type": kind, "index": index}}


def test_without_tf_config_a_process_trains_alone_and_is_the_chief(monkeypatch):
    monkeypatch.delenv("TF_CONFIG", raising=False)
    assert (read_cluster(), is_chief()) == (None, True)


@pytest.mark.parametrize("index", [0, 1])
def test_the_first_of_several_workers_is_the_chief(environment, index):
    environment(config(index=index))
    assert read_cluster() == Cluster(("a:1", "b:2"), index)
    assert is_chief() is (index == 0)


@pytest.mark.parametrize(("kind", "index", "place"), [("chief", 0, 0), ("worker", 0, 1), ("worker", 1, 2)])
def test_a_chief_comes_before_the_workers(environment, kind, index, place):
    environment(config(chief=["c:3"], kind=kind, index=index))
    assert read_cluster() == Cluster(("c:3", "a:1", "b:2"), place)
    assert is_chief() is (kind == "chief")


def test_one_worker_trains_alone(environment):
    environment(config(["a:1"]))
    assert read_cluster() is None


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("{'cluster'", "TF_CONFIG is not JSON"),
        ("[1]", "no list cluster.worker"),
        ({"task": {"type": "worker", "index": 0}}, "no list cluster.worker"),
        (config([]), "no list cluster.worker"),
        (config("a:1"), "no list cluster.worker"),
        (config(index=2), "task.index=2 must be from 0 to 1, one of the 2 in cluster.worker"),
        (config(index=-1), "task.index=-1 must be"),
        (config(index="1"), "task.index='1' must be"),
        ({"cluster": {"worker": WORKERS}}, "task.type='None' must be 'worker'"),
        (config(kind="ps"), "task.type='ps' must be 'worker'"),
        (config(kind="chief"), "task.type='chief' must be 'worker'"),
        (config(kind="ps", chief=["c:3"]), "task.type='ps' must be 'chief' or 'worker'"),
        (config(chief=["c:3"], ps=["d:4"]), "has cluster.ps, but only a chief and workers are supported"),
        (config(chief=["c:3", "d:4"]), "cluster.chief has 2 addresses; there can be one chief"),
        (config(chief=[]), "no list cluster.chief"),
        (config(chief=["c"]), "cluster.chief has 'c', which is not HOST:PORT"),
        (config(chief=["a:1"]), "one address twice"),
        (config(chief=["c:3"], kind="chief", index=1), "task.index=1 must be from 0 to 0, one of the 1 in cluster.ch"),
        (config(["a:1", "b"]), "has 'b', which is not HOST:PORT"),
        (config(["a:1", "b:65536"]), "has 'b:65536', which is not HOST:PORT"),
        (config(["a:1", "a:1"]), "one address twice"),
    ],
)
def test_invalid_tf_config_is_refused(environment, value, message):
    environment(value)
    with pytest.raises(ConfigError) as caught:
        read_cluster()
    assert message in str(caught.value) and "TF_CONFIG" in str(caught.value)


def free_addresses(count):
    return tuple(f"127.0.0.1:{port}" for port in free_ports(count))


def test_workers_wait_for_one_another():
    addresses, done = free_addresses(3), []

    def join(index):
        wait_for_workers(Cluster(addresses, index), HANG_SECONDS / 60)
        done.append(index)

    threads = [threading.Thread(target=join, args=(index,), daemon=True) for index in (0, 1)]
    for thread in threads:
        thread.start()
    threads[0].join(1.2)
    assert done == [], "the third worker has not started"
    wait_for_workers(Cluster(addresses, 2), HANG_SECONDS / 60)
    # TensorFlow's server takes over the port then, so a worker that is between two attempts still finds it.
    with socket.create_server(("127.0.0.1", int(addresses[2].rpartition(":")[2]))):
        for thread in threads:
            thread.join(HANG_SECONDS)
    assert sorted(done) == [0, 1]


def test_a_missing_worker_is_named():
    here, missing = free_addresses(2)
    with pytest.raises(UserError, match=rf"no worker answered at {missing} within 0\.001 minutes: start .* TF_CONFIG"):
        wait_for_workers(Cluster((here, missing), 0), 0.001)


def test_an_address_in_use_is_named():
    with socket.create_server(("", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(ConfigError, match=f"TF_CONFIG: cannot listen at {address}"):
            wait_for_workers(Cluster((address, "127.0.0.1:1"), 0), 0.001)
