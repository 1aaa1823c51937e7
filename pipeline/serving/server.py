"""Runs the server: listens, loads pushed versions, and on a signal finishes running requests and stops."""

import asyncio
import contextlib
import logging
import os
import signal
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass

from aiohttp import web

from pipeline.runs.workspace import Workspace
from pipeline.serving.batcher import Batcher
from pipeline.serving.metrics import Metrics
from pipeline.serving.routes import Limits, Routes
from pipeline.serving.version_manager import VersionManager
from shiftvit.errors import ConfigError
from shiftvit.quiet import silence_native_code

_KEEP_ALIVE = 75.0  # seconds that an idle connection stays open
_PAUSE = 0.02  # seconds between checks whether all requests are done


@dataclass(frozen=True)
class Settings:
    """Settings of the server."""

    host: str
    port: int  # 0: any free port
    limits: Limits
    max_batch: int  # most images per call of the model
    max_wait: float  # seconds that a request waits for others
    poll: float  # seconds between checks for a new version
    origins: Sequence[str] = ()  # of pages elsewhere that may call the server


def serve(workspace: Workspace, settings: Settings) -> None:
    """Serves the newest version of a workspace until SIGINT or SIGTERM.

    Raises:
        ConfigError: when the server cannot listen at the host and port.
    """
    asyncio.run(_serve(workspace, settings))


async def _serve(workspace: Workspace, settings: Settings) -> None:
    metrics = Metrics()
    batcher = Batcher(settings.max_batch, settings.max_wait, metrics.batch.observe)
    manager = VersionManager(workspace.serving, settings.max_batch)
    routes = Routes(manager, batcher, metrics, settings.limits, settings.origins)
    async with _listening(routes.make_app(), settings) as address:
        silence_native_code()
        stop = _stop_signal()
        coroutines = (batcher.run(), _keep_newest(manager, address, settings.poll), stop.wait())
        tasks = [asyncio.ensure_future(each) for each in coroutines]
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()  # raises if the batcher or the version manager has failed
        routes.stopping = True
        while routes.running:
            await asyncio.sleep(_PAUSE)


async def _keep_newest(manager: VersionManager, address: str, poll: float) -> None:
    def show(message: str | None) -> None:
        if message:
            print(f"{address}: {message}", flush=True)

    show(await manager.refresh())
    if not manager.states():
        show(f"no version was pushed to {manager.base} yet; the first is served as soon as `shiftvit run` pushes it")
    while True:
        await asyncio.sleep(poll)
        show(await manager.refresh())


@contextlib.asynccontextmanager
async def _listening(app: web.Application, settings: Settings) -> AsyncIterator[str]:
    """Listens for the block; yields the address."""
    logging.getLogger("aiohttp").setLevel(logging.CRITICAL)  # it logs malformed requests; `errors_as_json` logs ours
    runner = web.AppRunner(
        app,
        access_log=None,
        handler_cancellation=True,  # when the client disconnects
        keepalive_timeout=_KEEP_ALIVE,
        shutdown_timeout=settings.limits.seconds,
    )
    await runner.setup()
    try:
        site = web.TCPSite(runner, settings.host, settings.port)
        try:
            await site.start()
        except (OSError, OverflowError, UnicodeError) as error:
            raise ConfigError(_describe_failure(settings, error)) from error
        yield site.name
    finally:
        await runner.cleanup()


def _describe_failure(settings: Settings, error: Exception) -> str:
    number = getattr(error, "errno", None) or 0
    # asyncio's message repeats the address before the system's own; errors of name resolution have negative numbers.
    reason = os.strerror(number) if number > 0 else getattr(error, "strerror", None) or str(error)
    return f"cannot listen at --host {settings.host} --port {settings.port} ({reason}); --port 0 takes any free port"


def _stop_signal() -> asyncio.Event:
    """Returns an event that the first SIGTERM or SIGINT sets; a second one ends the process at once."""
    loop, stop = asyncio.get_running_loop(), asyncio.Event()

    def stop_once() -> None:
        stop.set()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.remove_signal_handler(number)

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop_once)
    return stop
