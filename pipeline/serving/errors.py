"""Requests that fail: each is answered with JSON, {"error": reason}, whatever part of the server refuses it."""

import logging
from collections.abc import Awaitable, Callable, Mapping
from http import HTTPStatus

from aiohttp import web

from pipeline.graph.nodes import PIPELINE_NAME
from pipeline.serving import protocol

_LOGGER = logging.getLogger(__name__)
_MOST_QUOTED = 200  # characters of what a stranger wrote


class Failure(Exception):
    """A request is not answered.

    Args:
        status: of HTTP.
        reason: a sentence for who asked.
        headers: that the answer needs beside it.
    """

    def __init__(self, status: int, reason: str, headers: Mapping[str, str] | None = None):
        super().__init__(reason)
        self.status = status
        self.headers = headers


@web.middleware
async def failures_as_json(
    request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    """Answers for handlers that fail, and for paths and methods that have none."""
    try:
        return await handler(request)
    except Failure as failure:
        return _answer(failure)
    except web.HTTPException as error:
        return _answer(_in_our_words(request, error))
    except Exception:
        _LOGGER.exception("%s %s failed", request.method, request.path[:_MOST_QUOTED])
        return _answer(Failure(HTTPStatus.INTERNAL_SERVER_ERROR, "the server failed; its terminal says why"))


def _answer(failure: Failure) -> web.Response:
    body = protocol.error(str(failure))
    return web.Response(body=body, status=failure.status, content_type=protocol.CONTENT_TYPE, headers=failure.headers)


def _in_our_words(request: web.Request, error: web.HTTPException) -> Failure:
    place = request.path[:_MOST_QUOTED]
    if isinstance(error, web.HTTPNotFound):
        return Failure(
            HTTPStatus.NOT_FOUND,
            f"nothing is at {place}; a page is at /, and the model at {protocol.MODELS}{PIPELINE_NAME}",
        )
    if isinstance(error, web.HTTPMethodNotAllowed):
        allowed = ", ".join(sorted(error.allowed_methods))
        reason = f"{place} does not take {request.method[:_MOST_QUOTED]}; it takes {allowed}"
        return Failure(HTTPStatus.METHOD_NOT_ALLOWED, reason, {"Allow": allowed})
    return Failure(error.status, error.reason)
