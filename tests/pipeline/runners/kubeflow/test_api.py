import http
import json
import socket
import ssl
import subprocess
import threading

import api_server
import pytest
from refusal import refusal

from pipeline.runners.kubeflow import api
from pipeline.runners.kubeflow.api import Api
from shiftvit.errors import ConfigError, UserError

TOKEN = "s3cret-t0ken"
JSON = {"Content-Type": "application/json"}
HTML = {"Content-Type": "text/html"}
TEXT = {"Content-Type": "text/plain; charset=utf-8"}
NOT_KFP = "not the root of a KFP API"


def create_experiment(server):
    return Api(server.url).create("experiments", "experiment_id", lambda: None, json={"display_name": "e"})


BROKEN_OFF = (200, JSON | {"Content-Length": "99", "Connection": "close"}, "{")


@pytest.mark.parametrize("fault", [502, 503, 504, "lose", "hang", BROKEN_OFF])
def test_get_is_retried_while_no_answer_comes(server, monkeypatch, fault):
    if fault == "hang":
        monkeypatch.setattr(api, "TIMEOUT", (1, 1))
    server.state.fail("GET", "healthz", fault, times=3)

    assert Api(server.url).get("healthz")["multi_user"] is False
    assert len(server.state.requests) == 4


@pytest.mark.parametrize("status", [400, 401, 403, 404, 409, 429, 500])
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_an_error_answer_is_shown_and_not_retried(server, method, status):
    server.state.fail(method, "experiments", (status, JSON, '{"code": 3, "message": "so it is"}'))

    act = (lambda: create_experiment(server)) if method == "POST" else lambda: Api(server.url).get("experiments")

    assert "so it is" in refusal(UserError, act)
    assert len(server.state.requests) == 1


def test_retries_are_spaced_by_pauses(server, monkeypatch):
    paused = []
    monkeypatch.setattr(api, "PAUSES", (1, 2, 4))
    monkeypatch.setattr(api.time, "sleep", paused.append)
    server.state.fail("GET", "healthz", 502, times=9)

    assert "answers 502 Bad Gateway" in refusal(UserError, Api(server.url).get, "healthz")
    assert paused == [1, 2, 4]


def test_a_creation_without_an_answer_says_that_it_may_have_been_carried_out(server):
    server.state.fail("POST", "experiments", 502, times=9)

    message = refusal(UserError, create_experiment, server)

    assert "502" in message and "the request may have been carried out" in message


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ((401, HTML, "<html>"), f"401 Unauthorized; the token in {api.TOKEN_VARIABLE} is not set"),
        ((403, JSON, '{"code": 7, "message": "not yours"}'), "(not yours); the token in KUBEFLOW_TOKEN is not set"),
        ((404, HTML, "<html>"), NOT_KFP),
        ((404, TEXT, "404 page not found"), NOT_KFP),
        ((404, JSON, '{"code": 5, "message": "Not Found"}'), NOT_KFP),
        ((404, JSON, '{"detail": "Not Found"}'), NOT_KFP),
        ((200, HTML, "<html>Log in</html>"), NOT_KFP),
        ((200, JSON, '{"status": "ok"}'), NOT_KFP),
        ((200, JSON, "[]"), NOT_KFP),
        ((500, HTML, "<html>"), "500 Internal Server Error"),
        ((302, {"Location": "https://u:p@login.example/auth?state=x"}, ""), "redirects to https://login.example, "),
        ((302, {"Location": "/dex/auth?state=x"}, ""), "redirects to another page"),
    ],
)
def test_another_server_and_a_missing_login_have_different_errors(server, answer, expected):
    server.state.fail("GET", "healthz", answer)

    message = refusal(UserError, Api(server.url).serves_many_users)

    assert message.startswith(f"{server.url}: ") and expected in message
    assert len(server.state.requests) == 1


@pytest.mark.parametrize("answer", [(200, HTML, "<html>"), (200, TEXT, "ok"), (200, JSON, "{}"), (404, TEXT, "404")])
def test_an_answer_without_an_id_is_not_from_kfp(server, answer):
    server.state.fail("POST", "experiments", answer)

    assert NOT_KFP in refusal(UserError, create_experiment, server)


def test_kfp_is_recognised_while_its_pages_wait_for_its_api(server):
    server.state.fail("GET", "healthz", (200, JSON, '{"apiServerReady": false}'))

    assert Api(server.url).serves_many_users() is False


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ((400, JSON, '{"error_message": "bad spec", "error_details": "x"}'), "400 Bad Request: bad spec"),
        ((400, TEXT, "Pipeline.Name length cannot exceed 128\n"), "400 Bad Request: Pipeline.Name length cannot"),
        ((400, JSON, json.dumps({"code": 3, "message": "first line\nstack"})), "400 Bad Request: first line"),
        ((413, HTML, "<html>"), f"413 {http.HTTPStatus(413).phrase}"),
    ],
)
def test_kfps_own_message_is_shown(server, answer, expected):
    server.state.fail("POST", "experiments", answer)

    assert expected in refusal(UserError, create_experiment, server)


def test_a_long_message_is_cut(server):
    server.state.fail("POST", "experiments", (400, TEXT, "x" * 9999))

    assert len(refusal(UserError, create_experiment, server)) < 700


# The token.


def test_the_token_takes_precedence_over_a_netrc(server, monkeypatch, tmp_path):
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login ada password other\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    Api(server.url).get("healthz")
    assert "Authorization" not in server.state.requests[0].headers

    monkeypatch.setenv(api.TOKEN_VARIABLE, TOKEN + "\n")
    server.state.token = TOKEN
    create_experiment(server)

    assert server.state.requests[1].headers["Authorization"] == f"Bearer {TOKEN}"


@pytest.mark.parametrize(
    "answer",
    [
        (401, JSON, f'{{"message": "no: Bearer {TOKEN}"}}'),
        (400, TEXT, f"no: {TOKEN}"),
        (400, TEXT, f"{'x' * 490}{TOKEN}"),
    ],
)
def test_no_message_or_log_shows_the_token(server, monkeypatch, caplog, answer):
    monkeypatch.setenv(api.TOKEN_VARIABLE, TOKEN)
    caplog.set_level("DEBUG")
    server.state.fail("POST", "experiments", answer)

    message = refusal(UserError, create_experiment, server)

    assert "***" in message and caplog.text and TOKEN[:6] not in message + caplog.text


@pytest.mark.parametrize("token", ["two words", "two\nlines", "schlüssel"])
def test_an_invalid_token_is_refused_and_not_shown(monkeypatch, token):
    monkeypatch.setenv(api.TOKEN_VARIABLE, token)

    message = refusal(ConfigError, Api, "http://127.0.0.1:1")

    assert message.startswith(api.TOKEN_VARIABLE) and token not in message


def test_the_token_is_not_sent_to_the_target_of_a_redirect(server, monkeypatch):
    monkeypatch.setenv(api.TOKEN_VARIABLE, TOKEN)
    with api_server.serve() as elsewhere:
        server.state.fail("GET", "healthz", (307, {"Location": f"{elsewhere.url}/apis/v2beta1/healthz"}, ""))

        assert elsewhere.url in refusal(UserError, Api(server.url).serves_many_users)

        assert elsewhere.state.requests == []


# The host.


@pytest.mark.parametrize(
    "host", ["localhost:8080", "ftp://h", "http://", "https://h/#/pipelines", "http://h:x", "http://[h", ""]
)
def test_a_host_that_is_not_a_url_is_refused(host):
    assert refusal(ConfigError, Api, host).startswith(f"--host {host}: expected the URL of KFP")


def test_a_password_in_the_host_is_refused_and_not_shown():
    assert "passw0rd" not in refusal(ConfigError, Api, "https://ada:passw0rd@h")


def test_a_host_that_does_not_answer_is_reported_with_the_cause(server, monkeypatch):
    with socket.create_server(("127.0.0.1", 0)) as closed:
        address = f"http://127.0.0.1:{closed.getsockname()[1]}"
    assert f"{address}: no answer (Connection refused)" in refusal(UserError, Api(address).serves_many_users)

    monkeypatch.setattr(api, "TIMEOUT", (1, 1))
    server.state.fail("GET", "healthz", "hang", times=9)
    assert f"{server.url}: no answer (timed out)" in refusal(UserError, Api(server.url).serves_many_users)


def test_a_host_without_tls_or_a_trusted_certificate_is_an_error(server, tls, monkeypatch):
    plain = server.url.replace("http:", "https:")
    assert f"{plain}: no trusted TLS connection" in refusal(UserError, Api(plain).serves_many_users)
    assert server.state.requests == []

    address, certificate = tls
    message = refusal(UserError, Api(address).serves_many_users)
    assert address in message and "certificate verify failed" in message and "REQUESTS_CA_BUNDLE" in message

    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate))
    assert Api(address).serves_many_users() is False


@pytest.fixture
def tls(server, tmp_path):
    """A second server, with a self-signed certificate."""
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    request = (
        "openssl req -x509 -newkey rsa:2048 -nodes -days 1 -subj /CN=127.0.0.1 -addext subjectAltName=IP:127.0.0.1"
    )
    subprocess.run([*request.split(), "-keyout", key, "-out", certificate], check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    encrypted = api_server.Server()
    encrypted.socket = context.wrap_socket(encrypted.socket, server_side=True)
    thread = threading.Thread(target=encrypted.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield encrypted.url.replace("http:", "https:"), certificate
    encrypted.shutdown()
    thread.join()
    encrypted.server_close()
