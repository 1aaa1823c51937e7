"""Lets pages of other origins call the server (Cross-Origin Resource Sharing), as browsers demand it."""

import re
from collections.abc import Awaitable, Callable, Sequence

from aiohttp import web
from aiohttp.typedefs import Middleware

from shiftvit.errors import ConfigError

ANY = "*"
_ORIGIN = re.compile(r"https?://(\[[0-9a-fA-F:.]+\]|[a-zA-Z0-9.-]+)(:\d{1,5})?")
_PREFLIGHT = {
    "Access-Control-Allow-Methods": "GET, POST",
    "Access-Control-Allow-Headers": "Content-Type, Content-Encoding",
    "Access-Control-Max-Age": "600",  # seconds
}


def check_origin(origin: str) -> None:
    """Raises ConfigError unless browsers can send this as the origin of a page."""
    if origin != ANY and not _ORIGIN.fullmatch(origin):
        raise ConfigError(
            f"--allow-origin {origin!r} must be {ANY} or scheme, host and port of the pages, as in https://example.com"
        )


def allow_origins(origins: Sequence[str]) -> Middleware:
    """Returns a middleware that permits requests of pages of these origins, or of every page with ANY."""
    allowed = {origin.lower() for origin in origins}

    @web.middleware
    async def middleware(
        request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
    ) -> web.StreamResponse:
        origin = request.headers.get("Origin", "")
        if not allowed or not origin:
            return await handler(request)
        permitted = ANY in allowed or origin in allowed
        preflight = request.method == "OPTIONS" and "Access-Control-Request-Method" in request.headers
        response = web.Response(status=204) if permitted and preflight else await handler(request)
        if permitted:
            response.headers.update(_PREFLIGHT if preflight else {})
            response.headers["Access-Control-Allow-Origin"] = ANY if ANY in allowed else origin
        response.headers["Vary"] = "Origin"  # caches must not give one origin's answer to another
        return response

    return middleware
