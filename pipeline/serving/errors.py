"""Answers failed requests with JSON, {"error": reason}, whichever part of the server they fail in."""

import logging
from collections.abc import Awaitable, Callable, Mapping
from http import HTTPStatus

from aiohttp import web

from pipeline.graph.nodes import PIPELINE_NAME
from pipeline.serving import protocol

_LOGGER = logging.getLogger(__name__)
_NOT_SERVED = {  # parts of TensorFlow Serving's API, by what their paths contain
    "/labels/": "versions have no labels here: name a number, or none for the newest",
    ":classify": "only :predict is served, as the model has no signatures for :classify",
    ":regress": "only :predict is served, as the model has no signatures for :regress",
}
_MAX_QUOTED = 200  # characters of the client's text in logs and messages


class RequestError(Exception):
    """A request fails.

    Args:
        status: HTTP status code.
        reason: one sentence for the client.
        headers: additional headers of the response.
    """

    def __init__(self, status: int, reason: str, headers: Mapping[str, str] | None = None):
        super().__init__(reason)
        self.status = status
        self.headers = headers


@web.middleware
async def errors_as_json(
    request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    """Responds for handlers that raise, and for unknown paths and methods."""
    try:
        return await handler(request)
    except RequestError as error:
        return _response(error)
    except web.HTTPException as error:
        return _response(_rephrase(request, error))
    except Exception:
        _LOGGER.exception("%s %s failed", request.method, request.path[:_MAX_QUOTED])
        return _response(RequestError(HTTPStatus.INTERNAL_SERVER_ERROR, "the server failed; see its terminal"))


def _response(error: RequestError) -> web.Response:
    body = protocol.error(str(error))
    return web.Response(body=body, status=error.status, content_type=protocol.CONTENT_TYPE, headers=error.headers)


def _rephrase(request: web.Request, error: web.HTTPException) -> RequestError:
    path = request.path[:_MAX_QUOTED]
    if isinstance(error, web.HTTPNotFound):
        nothing = f"nothing is at {path}; the page is at /, and the model at {protocol.MODELS}{PIPELINE_NAME}"
        reason = next((reason for part, reason in _NOT_SERVED.items() if part in path), nothing)
        return RequestError(HTTPStatus.NOT_FOUND, reason)
    if isinstance(error, web.HTTPMethodNotAllowed):
        allowed = ", ".join(sorted(error.allowed_methods))
        reason = f"{path} does not accept {request.method[:_MAX_QUOTED]}, only {allowed}"
        return RequestError(HTTPStatus.METHOD_NOT_ALLOWED, reason, {"Allow": allowed})
    return RequestError(error.status, error.reason)
