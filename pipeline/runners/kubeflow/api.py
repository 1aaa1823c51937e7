"""Client of the REST API of Kubeflow Pipelines (KFP), v2beta1; only what a submission needs. Imports nothing heavy."""

import os
import re
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

import requests

from shiftvit import certificates
from shiftvit.errors import ConfigError, UserError

TOKEN_VARIABLE = "KUBEFLOW_TOKEN"
TIMEOUT = (10, 60)  # seconds to connect, and seconds between two bytes of the answer
PAUSES = (1, 2, 4, 8, 16)  # seconds before each retry
_LONGEST_MESSAGE = 500  # characters; some of KFP's messages contain a whole specification

Answer = dict[str, Any]


class Unanswered(UserError):
    """No answer came, so the host may or may not have carried out the request."""


class NotFound(UserError):
    """KFP has nothing with that name."""


class Conflict(UserError):
    """KFP already has something with that name."""


class Api:
    """The API of one host."""

    def __init__(self, host: str):
        self.host = _check(host)
        certificates.check()
        self._token = _read_token()
        self._session = requests.Session()
        # A function rather than a session header, because requests prefers a .netrc entry over such a header.
        self._session.auth = self._authorize

    def serves_many_users(self) -> bool:
        """Returns whether the installation is multi-user, where every run needs a namespace.

        Raises:
            UserError: the host is not KFP, or does not answer.
        """
        try:
            health = self.get("healthz")
        except NotFound as error:
            raise self._not_kfp() from error
        if not {"multi_user", "apiServerReady"} & health.keys():  # only the second while the UI waits for the API
            raise self._not_kfp()
        return bool(health.get("multi_user"))

    def get(self, path: str, **query: Any) -> Answer:
        """Returns the resource at `path`; retries while no answer comes.

        Raises:
            UserError: no answer comes after all retries, or the answer is an error.
        """
        return _repeat(lambda: self._ask("GET", path, params=query))

    def create(self, path: str, key: str, find: Callable[[], Answer | None], **content: Any) -> Answer:
        """Creates a resource exactly once, and returns it.

        KFP has no idempotency key, and a request without an answer may have been carried out. So before each retry,
        `find` looks for the result of the attempt before. If KFP carries out that attempt even later, it rejects the
        duplicate by its name; only the names of runs are not unique, which is why a pause precedes each look.

        Args:
            path: path of the collection.
            key: name of the id that KFP gives to the resource.
            find: returns the resource if it exists.
            content: the request, as arguments of `requests`.

        Raises:
            UserError: no answer comes, or the answer is an error.
        """
        try:
            made = _repeat(lambda: self._ask("POST", path, **content), find)
        except Conflict:
            # Another client was faster, or an attempt that timed out was carried out after all.
            found = find()
            if found is None:
                raise
            made = found
        except Unanswered as error:
            raise UserError(
                f"{error}; the request may have been carried out, so check KFP's pages before you try again"
            ) from error
        if key not in made:
            raise self._not_kfp()
        return made

    def _authorize(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        if self._token:
            request.headers["Authorization"] = f"Bearer {self._token}"
        return request

    def _ask(self, method: str, path: str, **content: Any) -> Answer:
        url = f"{self.host}/apis/v2beta1/{path}"
        try:
            # A redirect leads to a login page, which must get neither the token nor the request.
            response = self._session.request(method, url, timeout=TIMEOUT, allow_redirects=False, **content)
        except requests.exceptions.SSLError as error:
            raise UserError(
                f"{self.host}: no trusted TLS connection ({_cause(error)}); set REQUESTS_CA_BUNDLE=FILE to the "
                "certificates of your own authority"
            ) from error
        except (requests.ConnectionError, requests.Timeout, requests.exceptions.ChunkedEncodingError) as error:
            raise Unanswered(f"{self.host}: no answer ({_cause(error)}); it is down or unreachable") from error
        except requests.RequestException as error:
            raise ConfigError(f"--host {self.host}: cannot send a request ({_cause(error)})") from error
        return self._read(response)

    def _read(self, response: requests.Response) -> Answer:
        status, reason = response.status_code, f"{response.status_code} {response.reason}"
        if response.is_redirect:
            raise UserError(
                f"{self.host}: redirects to {_origin(response.headers['Location'])}, probably a login page; set "
                f"{TOKEN_VARIABLE} to a valid token, or correct --host"
            )
        answer = _parse(response)
        message = self._message(response, answer)
        if status in (401, 403):
            state = "is invalid or lacks permission" if self._token else "is not set"
            detail = f" ({message})" if message else ""
            raise UserError(f"{self.host}: answers {reason}{detail}; the token in {TOKEN_VARIABLE} {state}")
        if status in (502, 503, 504):
            raise Unanswered(f"{self.host}: answers {reason}: KFP is not running")
        if response.ok and answer is not None:
            return answer
        if message is None and (response.ok or status == 404):
            raise self._not_kfp()
        kind = {404: NotFound, 409: Conflict}.get(status, UserError)
        raise kind(f"{self.host}: KFP answers {reason}: {message or 'without a message'}")

    def _message(self, response: requests.Response, answer: Answer | None) -> str | None:
        """Returns KFP's message, from a Status, an upload's variant of it, or plain text; None without one."""
        text = (answer or {}).get("message") or (answer or {}).get("error_message")
        if text is None and response.headers.get("Content-Type", "").startswith("text/plain"):
            text = response.text if response.status_code not in (200, 404) else None
        if not text:
            return None
        line = str(text).strip().partition("\n")[0]
        if self._token:
            line = line.replace(self._token, "***")  # a host may echo the request
        return line[:_LONGEST_MESSAGE]

    def _not_kfp(self) -> UserError:
        return UserError(
            f"{self.host}: not the root of a KFP API (v2beta1); --host takes the address of KFP's pages, such as "
            f"http://localhost:8080 or https://HOST/pipeline, and {TOKEN_VARIABLE} the token if KFP needs one"
        )


def _repeat(attempt: Callable[[], Answer], find: Callable[[], Answer | None] = lambda: None) -> Answer:
    for pause in PAUSES:
        try:
            return attempt()
        except Unanswered:
            time.sleep(pause)
        found = find()
        if found is not None:
            return found
    return attempt()


def _check(host: str) -> str:
    try:
        parts = urlsplit(host)
        usable = parts.scheme in ("http", "https") and parts.hostname and not (parts.query or parts.fragment)
        secret = "@" in parts.netloc
        _ = parts.port  # raises ValueError if it is not a number
    except ValueError:
        usable, secret = False, "@" in host
    if secret:
        raise ConfigError(f"--host: must not contain user or password; set {TOKEN_VARIABLE} to a token instead")
    if not usable:
        raise ConfigError(f"--host {host}: expected the URL of KFP, such as http://localhost:8080")
    return host.rstrip("/")


def _read_token() -> str:
    token = os.environ.get(TOKEN_VARIABLE, "").strip()
    if not re.fullmatch("[!-~]*", token):  # the error of requests would show it
        raise ConfigError(f"{TOKEN_VARIABLE}: contains characters that no token has, such as a space or a line break")
    return token


def _parse(response: requests.Response) -> Answer | None:
    try:
        answer = response.json()
    except ValueError:
        return None
    return answer if isinstance(answer, dict) else None


def _origin(location: str) -> str:
    """Returns only scheme and host, as the rest of a login page's address may hold secrets."""
    match = re.match(r"(?:(https?):)?(?://(?:[^/?#]*@)?([^/?#]*))?", location)
    scheme, host = match.groups() if match else (None, None)
    return f"{scheme}://{host}" if scheme and host else host or "another page"


def _cause(error: BaseException) -> str:
    while error.__context__ is not None:
        error = error.__context__
    return getattr(error, "strerror", None) or str(error) or type(error).__name__
