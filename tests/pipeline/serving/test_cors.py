"""Pages of other origins: only with --allow-origin, and only those that it names."""

import pytest
import servers
from servers import PREDICT, RED

from pipeline.cli.main import main
from pipeline.runs.workspace import Workspace

PAGE, OTHER = "https://photos.example:8443", "https://other.example"
PREFLIGHT = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "content-type"}


@pytest.fixture(scope="module", params=[(PAGE, "http://localhost:3000"), ("*",)], ids=["named", "any"])
def shared(request, tmp_path_factory, english):
    """A server with --allow-origin, and what it answers to PAGE and to OTHER."""
    workspace = Workspace(tmp_path_factory.mktemp("workspace"))
    servers.publish(workspace, english)
    options = [text for origin in request.param for text in ("--allow-origin", origin)]
    with servers.running(workspace, *options) as server:
        server.wait_for(lambda: server.get("/healthz").ok)
        yield server, {PAGE: PAGE, OTHER: None} if PAGE in request.param else {PAGE: "*", OTHER: "*"}


@pytest.mark.parametrize("origin", [PAGE, OTHER])
def test_answers_name_the_allowed_origin(shared, origin):
    server, allowed = shared
    answers = [
        server.post(RED, headers={"Origin": origin}),
        server.post(b"{", headers={"Origin": origin}),
        server.get("/nothing", headers={"Origin": origin}),
    ]

    assert [answer.status_code for answer in answers] == [200, 400, 404]
    assert {answer.headers.get("Access-Control-Allow-Origin") for answer in answers} == {allowed[origin]}
    assert {answer.headers["Vary"] for answer in answers} == {"Origin"}


@pytest.mark.parametrize("origin", [PAGE, OTHER])
def test_preflight(shared, origin):
    server, allowed = shared
    answer = server.request("OPTIONS", PREDICT, headers={"Origin": origin, **PREFLIGHT})

    assert answer.status_code == (204 if allowed[origin] else 405)
    assert answer.headers.get("Access-Control-Allow-Origin") == allowed[origin]
    methods = answer.headers.get("Access-Control-Allow-Methods", "")
    assert ("POST" in methods) is (allowed[origin] is not None)


def test_without_the_option_no_origin_is_allowed(server):
    for headers in ({}, {"Origin": PAGE}):
        assert "Access-Control-Allow-Origin" not in server.post(RED, headers=headers).headers
    assert server.request("OPTIONS", PREDICT, headers={"Origin": PAGE, **PREFLIGHT}).status_code == 405


@pytest.mark.parametrize(
    "origin", ["example.com", "https://a.example/", "https://a.example/path", "ftp://a", "https://*.a"]
)
def test_what_is_no_origin_is_refused(tmp_path, capsys, origin):
    assert main(["serve", "--workspace", str(tmp_path), "--allow-origin", origin]) == 2
    assert f"--allow-origin {origin!r} must be * or scheme, host and port" in capsys.readouterr().err
