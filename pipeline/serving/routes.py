"""What the server answers at which address."""

import asyncio
import contextlib
import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path

from aiohttp import web

from pipeline.graph.nodes import PIPELINE_NAME as NAME
from pipeline.serving import protocol
from pipeline.serving.batcher import BadItemError, Batcher
from pipeline.serving.errors import Failure, failures_as_json
from pipeline.serving.metrics import CONTENT_TYPE, Metrics
from pipeline.serving.model import Model
from pipeline.serving.version_manager import Host

_PAGE = Path(__file__).parent / "page.html"
_PAGE_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; connect-src 'self'; img-src blob: data:; "
    "script-src 'unsafe-inline'; style-src 'unsafe-inline'; form-action 'none'; frame-ancestors 'none'; "
    "base-uri 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}
_SMALL = 64_000  # bytes of a body that is read faster here than a thread is asked to
_BODIES = 8  # of the largest size, held at once; a request that comes then is refused
_GONE = 499  # as nginx counts a client that did not wait


@dataclass(frozen=True)
class Limits:
    """What one request may take."""

    body: int  # bytes
    seconds: float  # until it is answered, its arrival included
    images: int


class Routes:
    """The handlers, and what they share.

    Attributes:
        stopping: whether requests that come now are refused.
        running: how many predict requests have come and are not answered yet.
    """

    def __init__(self, host: Host, batcher: Batcher, metrics: Metrics, limits: Limits):
        self.stopping = False
        self.running = 0
        self._host = host
        self._batcher = batcher
        self._metrics = metrics
        self._limits = limits
        self._held = 0  # bytes that the bodies of those may have

    def make_app(self) -> web.Application:
        """Returns the application."""
        app = web.Application(middlewares=[failures_as_json], client_max_size=self._limits.body)
        for version in ("", r"/versions/{version:\d{1,19}}"):
            model = f"{protocol.MODELS}{{name:[^/:]+}}{version}"
            app.router.add_post(f"{model}:predict", self._predict)
            app.router.add_get(model, self._status)
            app.router.add_get(f"{model}/metadata", self._metadata)
        app.router.add_get("/healthz", self._healthz)
        app.router.add_get("/metrics", self._render_metrics)
        app.router.add_get("/classes", self._classes)
        app.router.add_get("/", self._page)
        return app

    async def _predict(self, request: web.Request) -> web.Response:
        started, status = time.perf_counter(), _GONE
        self.running += 1
        try:
            response = await self._answer(request)
            status = HTTPStatus.OK
            return response
        except Exception as error:
            status = getattr(error, "status", HTTPStatus.INTERNAL_SERVER_ERROR)
            raise
        finally:
            self.running -= 1
            self._metrics.requests.labels(int(status)).inc()
            self._metrics.seconds.observe(time.perf_counter() - started)

    async def _answer(self, request: web.Request) -> web.Response:
        deadline = asyncio.get_running_loop().time() + self._limits.seconds
        if self.stopping:
            raise self._none_while_stopping()
        with self._lend(request) as model, self._room_for(request):
            body = await self._read(request, deadline)
            question = await self._parse(body, model)
            rows = await self._ask(model, question, deadline)
        self._metrics.images.inc(len(rows))
        return _json(protocol.answer(rows, question.columnar))

    @contextlib.contextmanager
    def _lend(self, request: web.Request) -> Iterator[Model]:
        """Gives the model that a request names, which must be the one that is served."""
        _check_name(request)
        asked = request.match_info.get("version")
        with self._host.lend() as model:
            if model is None:
                raise self._none_yet()
            if asked is not None and int(asked) != model.number:
                reason = f"version {asked} is not served; version {model.number} is, as the newest"
                raise Failure(HTTPStatus.NOT_FOUND, reason)
            yield model

    @contextlib.contextmanager
    def _room_for(self, request: web.Request) -> Iterator[None]:
        size = self._most_bytes(request)
        if size > self._limits.body:
            raise self._too_large()
        if self._held + size > _BODIES * self._limits.body:
            reason = "too much is asked at once; ask again in a second"
            raise Failure(HTTPStatus.SERVICE_UNAVAILABLE, reason, {"Retry-After": "1"})
        self._held += size
        try:
            yield
        finally:
            self._held -= size

    def _most_bytes(self, request: web.Request) -> int:
        told = request.content_length
        return self._limits.body if told is None or "Content-Encoding" in request.headers else told

    async def _read(self, request: web.Request, deadline: float) -> bytes:
        try:
            return await asyncio.wait_for(request.read(), _left(deadline))
        except web.HTTPRequestEntityTooLarge as error:
            raise self._too_large() from error
        except asyncio.TimeoutError as error:
            reason = f"the body did not arrive within {self._limits.seconds:g} seconds"
            raise Failure(HTTPStatus.REQUEST_TIMEOUT, reason) from error
        except ConnectionError as error:
            raise Failure(_GONE, "the client is gone") from error  # told to nobody, and counted
        except web.RequestPayloadError as error:
            reason = "the body ends early, or is not encoded as its head says"
            raise Failure(HTTPStatus.BAD_REQUEST, reason) from error

    async def _parse(self, body: bytes, model: Model) -> protocol.Question:
        arguments = (body, model.inputs, self._limits.images)
        try:
            if len(body) <= _SMALL:
                return protocol.parse(*arguments)
            return await asyncio.to_thread(protocol.parse, *arguments)
        except protocol.BadRequestError as error:
            raise Failure(HTTPStatus.BAD_REQUEST, str(error)) from error

    async def _ask(self, model: Model, question: protocol.Question, deadline: float) -> list[dict]:
        asking = self._batcher.ask(model, question.signature, question.items)
        try:
            return await asyncio.wait_for(asking, _left(deadline))
        except BadItemError as error:
            key = model.inputs[question.signature]
            reason = f"{question.place(error.index)}: the model refuses it as {key} ({error})"
            raise Failure(HTTPStatus.BAD_REQUEST, reason) from error
        except asyncio.TimeoutError as error:
            reason = f"the model did not answer within {self._limits.seconds:g} seconds"
            raise Failure(HTTPStatus.GATEWAY_TIMEOUT, reason) from error

    async def _status(self, request: web.Request) -> web.Response:
        _check_name(request)
        asked = request.match_info.get("version")
        known = [state for state in self._host.states() if asked is None or state[0] == int(asked)]
        if asked is not None and not known:
            raise Failure(HTTPStatus.NOT_FOUND, f"version {asked} is not served")
        return _json(protocol.status(known))

    async def _metadata(self, request: web.Request) -> web.Response:
        with self._lend(request) as model:
            return _json(protocol.metadata(NAME, model.number, model.signature_defs))

    async def _classes(self, request: web.Request) -> web.Response:
        """For the page: TensorFlow Serving's form has no names for probabilities."""
        with self._host.lend() as model:
            if model is None:
                raise self._none_yet()
            return _json(json.dumps({"version": str(model.number), "class_names": model.class_names}).encode())

    async def _healthz(self, request: web.Request) -> web.Response:
        if self.stopping:
            raise self._none_while_stopping()
        if self._host.current is None:
            raise self._none_yet()
        return _json(json.dumps({"status": "ok", "version": str(self._host.current.number)}).encode())

    async def _render_metrics(self, request: web.Request) -> web.Response:
        current = self._host.current
        self._metrics.version.set(current.number if current else 0)
        self._metrics.running.set(self.running)
        return web.Response(body=self._metrics.render(), headers={"Content-Type": CONTENT_TYPE})

    async def _page(self, request: web.Request) -> web.Response:
        return web.Response(body=_PAGE.read_bytes(), content_type="text/html", charset="utf-8", headers=_PAGE_HEADERS)

    def _too_large(self) -> Failure:
        reason = f"the body is larger than {self._limits.body:,} bytes; send fewer images, or smaller ones"
        return Failure(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, reason)

    def _none_while_stopping(self) -> Failure:
        return Failure(HTTPStatus.SERVICE_UNAVAILABLE, "the server is stopping", {"Connection": "close"})

    def _none_yet(self) -> Failure:
        reason = f"no version was pushed to {self._host.base} yet"
        for number, state, message in self._host.states():
            reason = f"version {number} is being loaded; ask again in a few seconds"
            if state == "END":
                reason = f"version {number} cannot be served ({message})"
        return Failure(HTTPStatus.SERVICE_UNAVAILABLE, reason)


def _check_name(request: web.Request) -> None:
    name = request.match_info["name"]
    if name != NAME:
        raise Failure(HTTPStatus.NOT_FOUND, f"no model {name[:60]!r}; the one that is served is {NAME}")


def _json(body: bytes) -> web.Response:
    return web.Response(body=body, content_type=protocol.CONTENT_TYPE)


def _left(deadline: float) -> float:
    return max(0.0, deadline - asyncio.get_running_loop().time())
