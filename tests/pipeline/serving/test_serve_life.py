"""The life of a server: before the first version, at a version that is broken, at its limits, and at its end."""

import concurrent.futures
import contextlib
import http.client
import json
import socket
import threading

import pytest
import servers
from servers import PREDICT, RED
from waiting import HANG_SECONDS

from pipeline.cli.main import main
from pipeline.runs.workspace import Workspace

pytestmark = pytest.mark.slow


@pytest.fixture
def workspace(tmp_path):
    return Workspace(tmp_path)


def raw(port, head, body=b""):
    """Returns a connection on which a predict request was sent, whole or not."""
    connection = socket.create_connection(("127.0.0.1", port), HANG_SECONDS)
    connection.sendall(f"POST {PREDICT} HTTP/1.1\r\nHost: x\r\n{head}\r\n\r\n".encode() + body)
    return connection


def reply_on(connection):
    with connection, connection.makefile("rb") as file:
        return file.readline().split()[1].decode()


def test_from_the_first_push_to_the_end(workspace, english, german):
    """It starts without a version, takes what is pushed, passes over what is broken, and ends what runs."""
    with servers.running(workspace, "--poll", "0.1", "--batch-wait", "5000") as server:
        assert f": no version was pushed to {workspace.serving} yet" in server.first_line
        for reply in (server.get("/healthz"), server.post(RED), server.get("/classes")):
            assert reply.status_code == 503
            assert reply.json() == {"error": f"no version was pushed to {workspace.serving} yet"}
        assert server.get("/v1/models/shiftvit").json() == {"model_version_status": []}

        first = servers.publish(workspace, english)
        server.wait_for(lambda: server.get("/healthz").status_code == 200)
        broken = german.with_name("broken")
        broken.mkdir()
        (broken / "saved_model.pb").write_text("no model")
        second = servers.publish(workspace, broken)
        server.wait_for(lambda: len(server.get("/v1/models/shiftvit").json()["model_version_status"]) == 2)
        states = server.get("/v1/models/shiftvit").json()["model_version_status"]
        assert [(state["version"], state["state"]) for state in states] == [
            (str(second), "END"),
            (str(first), "AVAILABLE"),
        ]
        assert states[0]["status"]["error_code"] == "UNKNOWN" and states[0]["status"]["error_message"]
        third = servers.publish(workspace, german)
        server.wait_for(lambda: server.version() == third)

        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            running = [pool.submit(server.post, RED) for _ in range(4)]
            server.wait_for(lambda: server.metric("shiftvit_running_requests") == 4)
            server.process.terminate()
            server.wait_for(lambda: server.get("/healthz").status_code == 503)
            assert server.get("/healthz").json() == {"error": "the server is stopping"}
            assert server.post(RED).json() == {"error": "the server is stopping"}
            replies = [future.result() for future in running]
        assert {reply.json()["predictions"][0]["class_name"] for reply in replies} == {"rot"}
        said, _ = server.process.communicate(timeout=HANG_SECONDS)
        assert server.process.returncode == 0
        lines = [line.removeprefix(f"{server.url}: ") for line in said.splitlines()]
        assert lines[0] == f"version {first} is served" and lines[2:] == [f"version {third} is served"]
        assert lines[1].startswith(f"version {second} cannot be served, version {first} stays (")


def test_limits_of_time_and_of_bodies_at_once(workspace, english):
    servers.publish(workspace, english)
    options = ["--timeout", "5", "--batch-wait", "3600000", "--max-body", "0.1"]
    with servers.running(workspace, *options) as server:
        unfinished = raw(server.port, "Content-Length: 100", b'{"instances"')
        reply = server.post(RED)
        assert (reply.status_code, reply.json()) == (504, {"error": "the model did not answer within 5 seconds"})
        assert reply_on(unfinished) == "408"

        at_once = [raw(server.port, "Content-Length: 100000") for _ in range(8)]
        server.wait_for(lambda: server.metric("shiftvit_running_requests") == 8)
        reply = server.post(RED)
        assert (reply.status_code, reply.headers["Retry-After"]) == (503, "1")
        assert reply.json() == {"error": "too much is asked at once; ask again in a second"}
        assert {reply_on(connection) for connection in at_once} == {"408"}
        assert server.post(b"{}").status_code == 400, "there is room again"

        for head in ("Transfer-Encoding: chunked, chunked", "Content-Length: -1", "Content-Length: 1\r\nX: \0"):
            assert reply_on(raw(server.port, head)) == "400"
        gone = raw(server.port, "Content-Length: 100")
        server.wait_for(lambda: server.metric("shiftvit_running_requests") == 1)
        gone.close()
        server.wait_for(lambda: server.metric("shiftvit_running_requests") == 0)
        assert server.metric('shiftvit_requests_total{code="499"}') == 1
        assert server.stop() == (0, "")


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (
            ["--port", "TAKEN"],
            "cannot listen at --host 127.0.0.1 --port TAKEN (address already in use); --port 0 takes",
        ),
        (["--host", "no such host"], "cannot listen at --host no such host --port 8501 ("),
        (["--host", "192.0.2.1"], "(cannot assign requested address); "),
        (["--port", "70000"], "cannot listen at --host 127.0.0.1 --port 70000 ("),
        (["--timeout", "0"], "--timeout 0 must be positive"),
        (["--max-body", "inf"], "--max-body inf must be positive, and a number"),
        (["--batch-wait", "-1"], "--batch-wait -1 must be a number and not negative"),
    ],
)
def test_where_it_cannot_listen_and_what_is_no_limit_is_one_sentence(options, told, workspace, capsys):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        options = [port if option == "TAKEN" else option for option in options]
        assert main(["serve", "--workspace", str(workspace.root), *options]) == 2

    out, err = capsys.readouterr()
    assert told.replace("TAKEN", port).lower() in err.lower()
    assert out == "" and err.startswith("shiftvit: ") and err.count("\n") == 1
    assert list(workspace.root.iterdir()) == []


REQUESTS, SWITCHES, CLIENTS = 10_000, 20, 32


class Clients:
    """Ask in a loop, and note the answer beside what was served before it and what was pushed by then."""

    def __init__(self, server):
        self.server = server
        self.known = self.pushed = server.version()
        self.answers = []  # (version that was served before, newest pushed after, status, class name)
        self.enough = threading.Event()

    def ask(self):
        body = json.dumps(RED)
        connection = http.client.HTTPConnection("127.0.0.1", self.server.port, timeout=HANG_SECONDS)
        while not self.enough.is_set():
            before = self.known
            connection.request("POST", PREDICT, body)
            reply = connection.getresponse()
            said = json.loads(reply.read())
            name = said["predictions"][0]["class_name"] if reply.status == 200 else said
            self.answers.append((before, self.pushed, reply.status, name))
        connection.close()

    def wait_for(self, answers):
        self.server.wait_for(lambda: len(self.answers) >= answers)

    @contextlib.contextmanager
    def asking(self):
        threads = [threading.Thread(target=self.ask) for _ in range(CLIENTS)]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            self.enough.set()
            for thread in threads:
                thread.join()


def test_ten_thousand_requests_across_twenty_switches_without_one_failure(server, english, german):
    clients, models = Clients(server), (english, german)
    names = {clients.known: server.post(RED).json()["predictions"][0]["class_name"]}
    with clients.asking():
        for switch in range(1, SWITCHES + 1):
            clients.wait_for(REQUESTS * switch // (SWITCHES + 1))
            clients.pushed = server.version() + 1
            names[clients.pushed] = ("red", "rot")[switch % 2]
            assert servers.publish(server.workspace, models[switch % 2], keep=2) == clients.pushed
            server.wait_for(lambda: server.version() == clients.pushed)
            clients.known = clients.pushed
        clients.wait_for(REQUESTS)

    assert len(clients.answers) >= REQUESTS and len(names) == SWITCHES + 1
    assert {status for _, _, status, _ in clients.answers} == {200}
    for before, after, _, name in clients.answers:
        assert name in {names[version] for version in range(before, after + 1)}
    last = servers.publish(server.workspace, english, keep=1)
    server.wait_for(lambda: server.version() == last)
    server.wait_for(lambda: len(server.get("/v1/models/shiftvit").json()["model_version_status"]) == 1)
    newest = servers.publish(server.workspace, german, keep=1)
    assert {path.name for path in server.workspace.serving.iterdir()} == {str(last), str(newest)}, "one is let go"
