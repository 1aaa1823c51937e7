"""The HTTP endpoints."""

import asyncio
import contextlib
import functools
import json
import os
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path

import numpy as np
from aiohttp import web

from pipeline.graph.nodes import PIPELINE_NAME as NAME
from pipeline.serving import protocol
from pipeline.serving.batcher import Batcher, InvalidItemError, Row
from pipeline.serving.cors import allow_origins
from pipeline.serving.errors import RequestError, errors_as_json
from pipeline.serving.metrics import CONTENT_TYPE, Metrics
from pipeline.serving.model import Item, Model
from pipeline.serving.version_manager import VersionManager
from shiftvit import pixels
from shiftvit.config import Resize
from shiftvit.errors import DataError
from shiftvit.image_container import read_container

_PAGE = Path(__file__).parent / "page.html"
_PAGE_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; connect-src 'self'; img-src blob: data:; "
    "script-src 'unsafe-inline'; style-src 'unsafe-inline'; form-action 'none'; frame-ancestors 'none'; "
    "base-uri 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}
_SMALL = 64_000  # bytes; a smaller body is parsed faster in the event loop than in a thread
_SMALL_PIXELS = 100_000  # likewise, of a request's images, for decoding
_MAX_BODIES = 8  # bodies of the largest size in memory at once; further requests are rejected
_DECODERS = min(4, os.cpu_count() or 1)  # images decoded at once; the largest take up to 500 MB each
_NOT_WRAPPED = f'this is base64 text, not an image: put it into {{"{protocol.BYTES}": "..."}}, encoded once'
_CLIENT_CLOSED = 499  # nginx's status code for a client that disconnects before the response


@dataclass(frozen=True)
class Limits:
    """Limits of one request."""

    body: int  # bytes
    seconds: float  # from its arrival to the response
    images: int


class Routes:
    """The request handlers and their shared state.

    Attributes:
        stopping: whether new requests are rejected.
        running: number of predict requests in progress.
    """

    def __init__(
        self, manager: VersionManager, batcher: Batcher, metrics: Metrics, limits: Limits, origins: Sequence[str] = ()
    ):
        self.stopping = False
        self.running = 0
        self._manager = manager
        self._batcher = batcher
        self._metrics = metrics
        self._limits = limits
        self._origins = origins
        self._decoders = ThreadPoolExecutor(_DECODERS, "decoder")
        self._reserved = 0  # bytes of memory, at most, of the bodies of running requests

    def make_app(self) -> web.Application:
        """Returns the aiohttp application."""
        middlewares = [allow_origins(self._origins), errors_as_json]
        app = web.Application(middlewares=middlewares, client_max_size=self._limits.body)
        for version in ("", r"/versions/{version:\d{1,19}}"):
            model = f"{protocol.MODELS}{{name:[^/:]+}}{version}"
            app.router.add_post(f"{model}:predict", self._predict)
            app.router.add_get(model, self._status)
            app.router.add_get(f"{model}/metadata", self._metadata)
        app.router.add_get("/healthz", self._healthz)
        app.router.add_get("/metrics", self._get_metrics)
        app.router.add_get("/classes", self._classes)
        app.router.add_get("/", self._page)
        return app

    async def _predict(self, request: web.Request) -> web.Response:
        started, status = time.perf_counter(), _CLIENT_CLOSED
        self.running += 1
        try:
            response = await self._respond(request)
            status = HTTPStatus.OK
            return response
        except Exception as error:
            status = getattr(error, "status", HTTPStatus.INTERNAL_SERVER_ERROR)
            raise
        finally:
            self.running -= 1
            self._metrics.requests.labels(int(status)).inc()
            self._metrics.seconds.observe(time.perf_counter() - started)

    async def _respond(self, request: web.Request) -> web.Response:
        deadline = asyncio.get_running_loop().time() + self._limits.seconds
        if self.stopping:
            raise self._stopping_error()
        with self._use_model(request) as model, self._reserve_memory(request):
            body = await self._read(request, deadline)
            predict_request = await self._parse(body, model)
            items = await self._decode(model, predict_request, deadline)
            rows = await self._run_model(model, predict_request, items, deadline)
        self._metrics.images.inc(len(rows))
        return _json(protocol.predictions(rows, predict_request.columnar))

    @contextlib.contextmanager
    def _use_model(self, request: web.Request) -> Iterator[Model]:
        """Yields the served model for the block; raises RequestError if the request names another."""
        _check_name(request)
        version = request.match_info.get("version")
        with self._manager.use_current() as model:
            if model is None:
                raise self._unavailable_error()
            if version is not None and int(version) != model.number:
                reason = f"version {version} is not served; the served version is {model.number}, the newest"
                raise RequestError(HTTPStatus.NOT_FOUND, reason)
            yield model

    @contextlib.contextmanager
    def _reserve_memory(self, request: web.Request) -> Iterator[None]:
        size = self._max_size(request)
        if size > self._limits.body:
            raise self._too_large_error()
        if self._reserved + size > _MAX_BODIES * self._limits.body:
            reason = "too many requests at once; try again in a second"
            raise RequestError(HTTPStatus.SERVICE_UNAVAILABLE, reason, {"Retry-After": "1"})
        self._reserved += size
        try:
            yield
        finally:
            self._reserved -= size

    def _max_size(self, request: web.Request) -> int:
        size = request.content_length
        return self._limits.body if size is None or "Content-Encoding" in request.headers else size

    async def _read(self, request: web.Request, deadline: float) -> bytes:
        try:
            return await asyncio.wait_for(request.read(), _left(deadline))
        except web.HTTPRequestEntityTooLarge as error:
            raise self._too_large_error() from error
        except asyncio.TimeoutError as error:
            reason = f"the body did not arrive within {self._limits.seconds:g} seconds"
            raise RequestError(HTTPStatus.REQUEST_TIMEOUT, reason) from error
        except ConnectionError as error:
            raise RequestError(_CLIENT_CLOSED, "the client is gone") from error  # only for the metrics
        except web.RequestPayloadError as error:
            reason = "the body ends early, or does not have the encoding that its headers name"
            raise RequestError(HTTPStatus.BAD_REQUEST, reason) from error

    async def _parse(self, body: bytes, model: Model) -> protocol.PredictRequest:
        arguments = (body, model.inputs, self._limits.images)
        try:
            if len(body) <= _SMALL:
                return protocol.parse(*arguments)
            return await asyncio.to_thread(protocol.parse, *arguments)
        except protocol.BadRequestError as error:
            raise RequestError(HTTPStatus.BAD_REQUEST, str(error)) from error

    async def _decode(self, model: Model, request: protocol.PredictRequest, deadline: float) -> Sequence[Item]:
        """Returns what the model takes: pixels in place of image files. Threads decode all but small images."""
        if request.signature != protocol.DEFAULT_SIGNATURE:
            return request.items
        decode = functools.partial(_decode_item, request, model.image_size, model.resize)
        indices = range(len(request.items))
        if _are_small(request.items):
            return [decode(index) for index in indices]
        submit = asyncio.get_running_loop().run_in_executor
        jobs = [submit(self._decoders, decode, index) for index in indices]
        try:
            return await asyncio.wait_for(asyncio.gather(*jobs), _left(deadline))
        except asyncio.TimeoutError as error:
            reason = f"the images were not decoded within {self._limits.seconds:g} seconds"
            raise RequestError(HTTPStatus.GATEWAY_TIMEOUT, reason) from error
        finally:
            for job in jobs:  # after an error, those that no thread has begun
                job.cancel()

    async def _run_model(
        self, model: Model, request: protocol.PredictRequest, items: Sequence[Item], deadline: float
    ) -> list[Row]:
        rows = self._batcher.predict(model, request.signature, items)
        try:
            return await asyncio.wait_for(rows, _left(deadline))
        except InvalidItemError as error:
            name = model.inputs[request.signature]
            reason = f"{request.describe_item(error.index)}: the model rejects it as {name} ({error})"
            raise RequestError(HTTPStatus.BAD_REQUEST, reason) from error
        except asyncio.TimeoutError as error:
            reason = f"the model did not answer within {self._limits.seconds:g} seconds"
            raise RequestError(HTTPStatus.GATEWAY_TIMEOUT, reason) from error

    async def _status(self, request: web.Request) -> web.Response:
        _check_name(request)
        version = request.match_info.get("version")
        states = [state for state in self._manager.states() if version is None or state[0] == int(version)]
        if version is not None and not states:
            raise RequestError(HTTPStatus.NOT_FOUND, f"version {version} is not served")
        return _json(protocol.status(states))

    async def _metadata(self, request: web.Request) -> web.Response:
        with self._use_model(request) as model:
            return _json(protocol.metadata(NAME, model.number, model.signature_defs))

    async def _classes(self, request: web.Request) -> web.Response:
        """Class names for the page: TensorFlow Serving's API has no names for the probabilities."""
        with self._manager.use_current() as model:
            if model is None:
                raise self._unavailable_error()
            return _json(json.dumps({"version": str(model.number), "class_names": model.class_names}).encode())

    async def _healthz(self, request: web.Request) -> web.Response:
        if self.stopping:
            raise self._stopping_error()
        if self._manager.current is None:
            raise self._unavailable_error()
        return _json(json.dumps({"status": "ok", "version": str(self._manager.current.number)}).encode())

    async def _get_metrics(self, request: web.Request) -> web.Response:
        current = self._manager.current
        self._metrics.version.set(current.number if current else 0)
        self._metrics.running.set(self.running)
        return web.Response(body=self._metrics.render(), headers={"Content-Type": CONTENT_TYPE})

    async def _page(self, request: web.Request) -> web.Response:
        return web.Response(body=_PAGE.read_bytes(), content_type="text/html", charset="utf-8", headers=_PAGE_HEADERS)

    def _too_large_error(self) -> RequestError:
        reason = f"the body is larger than {self._limits.body:,} bytes; send fewer or smaller images"
        return RequestError(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, reason)

    def _stopping_error(self) -> RequestError:
        return RequestError(HTTPStatus.SERVICE_UNAVAILABLE, "the server is stopping", {"Connection": "close"})

    def _unavailable_error(self) -> RequestError:
        reason = f"no version was pushed to {self._manager.base} yet"
        for number, state, message in self._manager.states():
            reason = f"version {number} is loading; try again in a few seconds"
            if state == "END":
                reason = f"version {number} cannot be served ({message})"
        return RequestError(HTTPStatus.SERVICE_UNAVAILABLE, reason)


def _check_name(request: web.Request) -> None:
    name = request.match_info["name"]
    if name != NAME:
        raise RequestError(HTTPStatus.NOT_FOUND, f"no model {name[:60]!r}; the served model is {NAME}")


def _are_small(items: Sequence[bytes]) -> bool:
    """Returns whether images are decoded faster than a thread takes over."""
    if sum(map(len, items)) > _SMALL:
        return False
    try:
        containers = [read_container(item) for item in items]
    except DataError:
        return False
    return sum(each.width * each.height for each in containers) <= _SMALL_PIXELS


def _decode_item(request: protocol.PredictRequest, size: int, resize: Resize, index: int) -> np.ndarray:
    try:
        return pixels.decode(request.items[index], size, resize)
    except DataError as error:
        reason = _NOT_WRAPPED if _is_base64_of_an_image(request.items[index]) else str(error)
        raise RequestError(HTTPStatus.BAD_REQUEST, f"{request.describe_item(index)}: {reason}") from error


def _is_base64_of_an_image(content: bytes) -> bool:
    text = content.decode("ascii", "ignore")
    try:
        read_container(protocol.decode_base64(text.partition(",")[2] or text))
    except (ValueError, DataError):
        return False
    return True


def _json(body: bytes) -> web.Response:
    return web.Response(body=body, content_type=protocol.CONTENT_TYPE)


def _left(deadline: float) -> float:
    return max(0.0, deadline - asyncio.get_running_loop().time())
