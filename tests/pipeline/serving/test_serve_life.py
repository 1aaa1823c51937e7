"""A server before its first version, with a broken version, at its limits, across new versions and at its end."""

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


def send(port, head, body=b""):
    """Sends a predict request, or only the beginning of one; returns the connection."""
    connection = socket.create_connection(("127.0.0.1", port), HANG_SECONDS)
    connection.sendall(f"POST {PREDICT} HTTP/1.1\r\nHost: x\r\n{head}\r\n\r\n".encode() + body)
    return connection


def receive(connection):
    """Returns status code and body of the response, and closes the connection."""
    with connection:
        response = http.client.HTTPResponse(connection)
        response.begin()
        return response.status, response.read()


def test_server_from_its_first_version_to_its_end(workspace, english, german):
    """It starts without a version, serves what is pushed, skips a broken version, and finishes running requests."""
    with servers.running(workspace, "--poll", "0.1", "--timeout", str(HANG_SECONDS)) as server:
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
        server.wait_for(lambda: [state["state"] for state in states(server)] == ["END", "AVAILABLE"])
        assert [state["version"] for state in states(server)] == [str(second), str(first)]
        status = states(server)[0]["status"]
        assert status["error_code"] == "UNKNOWN" and status["error_message"]
        third = servers.publish(workspace, german)
        server.wait_for(lambda: server.version() == third)

        body = json.dumps(RED).encode()
        unfinished = [send(server.port, f"Content-Length: {len(body)}", body[:20]) for _ in range(4)]
        server.wait_for(lambda: server.metric("shiftvit_running_requests") == 4)
        server.process.terminate()
        server.wait_for(lambda: server.get("/healthz").status_code == 503)
        assert server.get("/healthz").json() == {"error": "the server is stopping"}
        assert server.post(RED).json() == {"error": "the server is stopping"}
        for connection in unfinished:
            connection.sendall(body[20:])
        for status_code, reply in map(receive, unfinished):
            assert status_code == 200 and json.loads(reply)["predictions"][0]["class_name"] == "rot"
        output, _ = server.process.communicate(timeout=HANG_SECONDS)
        assert server.process.returncode == 0
        lines = [line.removeprefix(f"{server.url}: ") for line in output.splitlines()]
        assert lines[0] == f"version {first} is served" and lines[2:] == [f"version {third} is served"]
        assert lines[1].startswith(f"version {second} cannot be served, version {first} stays (")


def states(server):
    return server.get("/v1/models/shiftvit").json()["model_version_status"]


def test_requests_time_out(workspace, english):
    servers.publish(workspace, english)
    with servers.running(workspace, "--timeout", "5", "--batch-wait", "3600000") as server:
        unfinished = send(server.port, "Content-Length: 100", b'{"instances"')
        reply = server.post(RED)
        assert (reply.status_code, reply.json()) == (504, {"error": "the model did not answer within 5 seconds"})
        assert receive(unfinished)[0] == 408
        assert server.stop() == (0, "")


def test_memory_of_bodies_is_limited_and_clients_that_leave_are_noticed(workspace, english):
    servers.publish(workspace, english)
    with servers.running(workspace, "--timeout", str(HANG_SECONDS), "--max-body", "0.1") as server:

        def running():
            return server.metric("shiftvit_running_requests")

        unfinished = [send(server.port, "Content-Length: 100000") for _ in range(8)]
        server.wait_for(lambda: running() == 8)
        reply = server.post(RED)
        assert (reply.status_code, reply.headers["Retry-After"]) == (503, "1")
        assert reply.json() == {"error": "too many requests at once; try again in a second"}
        for connection in unfinished:
            connection.close()
        server.wait_for(lambda: running() == 0)
        assert server.metric('shiftvit_requests_total{code="499"}') == 8
        assert server.post(b"{}").status_code == 400, "the memory is free again"

        for head in ("Transfer-Encoding: chunked, chunked", "Content-Length: -1", "Content-Length: 1\r\nX: \0"):
            assert receive(send(server.port, head))[0] == 400
        assert server.stop() == (0, "")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            ["--port", "TAKEN"],
            "cannot listen at --host 127.0.0.1 --port TAKEN (address already in use); --port 0 takes",
        ),
        (["--host", "no such host"], "cannot listen at --host no such host --port 8501 ("),
        (["--host", "192.0.2.1"], "(cannot assign requested address); "),
        (["--port", "70000"], "cannot listen at --host 127.0.0.1 --port 70000 ("),
        (["--timeout", "0"], "--timeout 0 must be a positive number"),
        (["--max-body", "inf"], "--max-body inf must be a positive number"),
        (["--batch-wait", "-1"], "--batch-wait -1 must be zero or a positive number"),
    ],
)
def test_wrong_options_print_one_sentence_and_exit_with_2(options, message, workspace, capsys):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        options = [port if option == "TAKEN" else option for option in options]
        assert main(["serve", "--workspace", str(workspace.root), *options]) == 2

    out, err = capsys.readouterr()
    assert message.replace("TAKEN", port).lower() in err.lower()
    assert out == "" and err.startswith("shiftvit: ") and err.count("\n") == 1
    assert list(workspace.root.iterdir()) == []


REQUESTS, SWITCHES, CLIENTS = 10_000, 20, 32


class Clients:
    """Clients that send requests in a loop, and record which versions may have answered each."""

    def __init__(self, server):
        self.server = server
        self.served = self.pushed = server.version()
        self.replies = []  # (version served before the request, newest version after it, status, class name)
        self.stopped = threading.Event()

    def send_requests(self):
        body = json.dumps(RED)
        connection = http.client.HTTPConnection("127.0.0.1", self.server.port, timeout=HANG_SECONDS)
        while not self.stopped.is_set():
            before = self.served
            connection.request("POST", PREDICT, body)
            reply = connection.getresponse()
            content = json.loads(reply.read())
            name = content["predictions"][0]["class_name"] if reply.status == 200 else content
            self.replies.append((before, self.pushed, reply.status, name))
        connection.close()

    def wait_for(self, count):
        self.server.wait_for(lambda: len(self.replies) >= count)

    @contextlib.contextmanager
    def running(self):
        threads = [threading.Thread(target=self.send_requests) for _ in range(CLIENTS)]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            self.stopped.set()
            for thread in threads:
                thread.join()


def test_no_request_fails_while_versions_are_replaced(server, english, german):
    clients, models = Clients(server), (english, german)
    names = {clients.served: server.post(RED).json()["predictions"][0]["class_name"]}
    with clients.running():
        for switch in range(1, SWITCHES + 1):
            clients.wait_for(REQUESTS * switch // (SWITCHES + 1))
            clients.pushed = server.version() + 1
            names[clients.pushed] = ("red", "rot")[switch % 2]
            assert servers.publish(server.workspace, models[switch % 2], keep=2) == clients.pushed
            server.wait_for(lambda: server.version() == clients.pushed)
            clients.served = clients.pushed
        clients.wait_for(REQUESTS)

    assert len(clients.replies) >= REQUESTS and len(names) == SWITCHES + 1
    assert {status for _, _, status, _ in clients.replies} == {200}
    for before, after, _, name in clients.replies:
        assert name in {names[version] for version in range(before, after + 1)}
    last = servers.publish(server.workspace, english, keep=1)
    server.wait_for(lambda: server.version() == last)
    server.wait_for(lambda: len(states(server)) == 1)
    newest = servers.publish(server.workspace, german, keep=1)
    assert {path.name for path in server.workspace.serving.iterdir()} == {str(last), str(newest)}, (
        "a replaced version was kept"
    )
