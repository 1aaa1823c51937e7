"""The REST API of Kubeflow Pipelines (KFP), v2beta1, as far as a submission needs it. Imports nothing heavy."""

import os
import re
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

import requests

from shiftvit.errors import ConfigError, UserError

TOKEN_VARIABLE = "KUBEFLOW_TOKEN"
TIMEOUT = (10, 60)  # seconds: to connect, and without a byte of the answer
PAUSES = (1, 2, 4, 8, 16)  # seconds before each repeat
_GATEWAY_ERRORS = (502, 503, 504)
_LONGEST_MESSAGE = 500  # characters; KFP's own may carry a whole specification

Answer = dict[str, Any]


class Unanswered(UserError):
    """There was no answer, so whether the host did what it was asked is not known."""


class NotFound(UserError):
    """KFP has nothing of that name."""


class Conflict(UserError):
    """KFP has something of that name already."""


class Api:
    """The API of one host."""

    def __init__(self, host: str):
        self.host = _check(host)
        self._token = _read_token()
        self._session = requests.Session()
        # A function, not a header of the session: over such a header, requests prefers what a .netrc has for the host.
        self._session.auth = self._authorize

    def serves_many_users(self) -> bool:
        """Returns whether runs belong into namespaces there.

        Raises:
            UserError: when the host is not KFP, or does not answer.
        """
        try:
            health = self.get("healthz")
        except NotFound as error:
            raise self._not_kfp() from error
        if not {"multi_user", "apiServerReady"} & health.keys():  # the second alone while the UI waits for the API
            raise self._not_kfp()
        return bool(health.get("multi_user"))

    def get(self, path: str, **query: Any) -> Answer:
        """Returns what is at `path`; asks again while there is no answer.

        Raises:
            UserError: when that does not help, or the answer is an error.
        """
        return _repeat(lambda: self._ask("GET", path, params=query))

    def create(self, path: str, key: str, find: Callable[[], Answer | None], **content: Any) -> Answer:
        """Posts `content`, and returns what was made; what is there in the end is there once.

        KFP knows no key that would make a repeat safe, and a request without an answer may have been carried out. So
        `find` looks, before each repeat, for what the one before may have made. One that is carried out later still is
        refused by KFP where names are unique; runs alone have no such name, so a pause comes before each look.

        Args:
            path: of the collection.
            key: of what KFP gives to the thing made, its id.
            find: returns what is to be made, if it is there.
            content: of the request, as `requests` takes it.

        Raises:
            UserError: when there is no answer, or the answer is an error.
        """
        try:
            made = _repeat(lambda: self._ask("POST", path, **content), find)
        except Conflict:
            # Somebody was faster, or a request given up was carried out after all.
            made = find()
            if made is None:
                raise
        except Unanswered as error:
            raise UserError(
                f"{error}; look at its pages before you do this again, for it may have been done"
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
            # A redirect leads to a page to log in at, where neither the token nor the request belongs.
            response = self._session.request(method, url, timeout=TIMEOUT, allow_redirects=False, **content)
        except requests.exceptions.SSLError as error:
            raise UserError(
                f"{self.host}: no trusted TLS connection ({_cause(error)}); REQUESTS_CA_BUNDLE=FILE names "
                "the certificates of one's own authority"
            ) from error
        except (requests.ConnectionError, requests.Timeout, requests.exceptions.ChunkedEncodingError) as error:
            raise Unanswered(
                f"{self.host}: no answer ({_cause(error)}), so it is down, or not reachable from here"
            ) from error
        except requests.RequestException as error:
            raise ConfigError(f"--host {self.host}: cannot be asked ({_cause(error)})") from error
        return self._read(response)

    def _read(self, response: requests.Response) -> Answer:
        status, reason = response.status_code, f"{response.status_code} {response.reason}"
        if response.is_redirect:
            raise UserError(
                f"{self.host}: leads on to {_origin(response.headers['Location'])}, as to a page to log in at; "
                f"{TOKEN_VARIABLE} must hold a token that is good there, or --host is another"
            )
        answer = _parse(response)
        message = self._message(response, answer)
        if status in (401, 403):
            state = "not accepted, or lacks the rights" if self._token else "not set"
            told = f" ({message})" if message else ""
            raise UserError(f"{self.host}: answers {reason}{told}; the token in {TOKEN_VARIABLE} is {state}")
        if status in _GATEWAY_ERRORS:
            raise Unanswered(f"{self.host}: answers {reason}, so KFP is not up")
        if response.ok and answer is not None:
            return answer
        if message is None and (response.ok or status == 404):
            raise self._not_kfp()
        kind = {404: NotFound, 409: Conflict}.get(status, UserError)
        raise kind(f"{self.host}: KFP answers {reason}: {message or 'and says no more'}")

    def _message(self, response: requests.Response, answer: Answer | None) -> str | None:
        """Returns KFP's own words, be they in a Status, in an upload's form of it, or bare text."""
        text = (answer or {}).get("message") or (answer or {}).get("error_message")
        if text is None and response.headers.get("Content-Type", "").startswith("text/plain"):
            text = response.text if response.status_code not in (200, 404) else None
        if not text:
            return None
        line = str(text).strip().partition("\n")[0]
        if self._token:
            line = line.replace(self._token, "***")  # a host may repeat what it was sent
        return line[:_LONGEST_MESSAGE]

    def _not_kfp(self) -> UserError:
        return UserError(
            f"{self.host}: not the root of a KFP API (v2beta1); --host is the address of KFP's pages, such as "
            f"http://localhost:8080 or https://HOST/pipeline, and {TOKEN_VARIABLE} holds the token where one is needed"
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
        _ = parts.port  # read for its error
    except ValueError:
        usable, secret = False, "@" in host
    if secret:
        raise ConfigError(f"--host: without user and password; {TOKEN_VARIABLE} holds what KFP is to know")
    if not usable:
        raise ConfigError(f"--host {host}: expected the URL of KFP, such as http://localhost:8080")
    return host.rstrip("/")


def _read_token() -> str:
    token = os.environ.get(TOKEN_VARIABLE, "").strip()
    if not re.fullmatch("[!-~]*", token):  # requests would show it whole in its complaint
        raise ConfigError(f"{TOKEN_VARIABLE}: has characters that no token has, such as a space or a line break")
    return token


def _parse(response: requests.Response) -> Answer | None:
    try:
        answer = response.json()
    except ValueError:
        return None
    return answer if isinstance(answer, dict) else None


def _origin(location: str) -> str:
    """Returns scheme and host alone: the rest of a login's address may hold secrets."""
    scheme, host = re.match(r"(?:(https?):)?(?://(?:[^/?#]*@)?([^/?#]*))?", location).groups()
    return f"{scheme}://{host}" if scheme and host else host or "another page"


def _cause(error: BaseException) -> str:
    while error.__context__ is not None:
        error = error.__context__
    return getattr(error, "strerror", None) or str(error) or type(error).__name__
