"""The server's life: it listens, loads what is pushed, and on a signal ends what runs and nothing else."""

import asyncio
import contextlib
import logging
import os
import signal
from collections.abc import AsyncIterator
from dataclasses import dataclass

from aiohttp import web

from pipeline.runs.workspace import Workspace
from pipeline.serving.batcher import Batcher
from pipeline.serving.metrics import Metrics
from pipeline.serving.routes import Limits, Routes
from pipeline.serving.version_manager import Host
from shiftvit.errors import ConfigError
from shiftvit.quiet import hush_native_code

_IDLE = 75.0  # seconds that a connection may say nothing
_PAUSE = 0.02


@dataclass(frozen=True)
class Settings:
    """How to serve."""

    host: str
    port: int  # 0: one that is free
    limits: Limits
    batch: int  # the most images that the model is asked at once
    wait: float  # seconds that a request waits for others
    poll: float  # seconds between looks for a new version


def serve(workspace: Workspace, settings: Settings) -> None:
    """Serves the newest version of a workspace until a signal asks it to end.

    Raises:
        ConfigError: when it cannot listen there.
    """
    asyncio.run(_serve(workspace, settings))


async def _serve(workspace: Workspace, settings: Settings) -> None:
    metrics = Metrics()
    batcher = Batcher(settings.batch, settings.wait, metrics.batch.observe)
    host = Host(workspace.serving, settings.batch)
    routes = Routes(host, batcher, metrics, settings.limits)
    async with _listening(routes.make_app(), settings) as address:
        hush_native_code()
        stop = _stop_signal()
        work = [batcher.run(), _keep_newest(host, address, settings.poll)]
        tasks = [asyncio.ensure_future(each) for each in (*work, stop.wait())]
        ended, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in ended:
            task.result()  # raises what ended the work: a server that does half of it is none
        routes.stopping = True
        while routes.running:
            await asyncio.sleep(_PAUSE)


async def _keep_newest(host: Host, address: str, poll: float) -> None:
    def tell(sentence: str | None) -> None:
        if sentence:
            print(f"{address}: {sentence}", flush=True)

    tell(await host.look())
    if not host.states():
        tell(f"no version was pushed to {host.base} yet; the first is served as soon as `shiftvit run` pushes it")
    while True:
        await asyncio.sleep(poll)
        tell(await host.look())


@contextlib.asynccontextmanager
async def _listening(app: web.Application, settings: Settings) -> AsyncIterator[str]:
    """Gives the address."""
    logging.getLogger("aiohttp").setLevel(logging.CRITICAL)  # it tells of whatever strangers send; `failures` of ours
    runner = web.AppRunner(
        app,
        access_log=None,
        handler_cancellation=True,  # who is gone is not answered
        keepalive_timeout=_IDLE,
        shutdown_timeout=settings.limits.seconds,
    )
    await runner.setup()
    try:
        site = web.TCPSite(runner, settings.host, settings.port)
        try:
            await site.start()
        except (OSError, OverflowError, UnicodeError) as error:
            raise ConfigError(_why_not(settings, error)) from error
        yield site.name
    finally:
        await runner.cleanup()


def _why_not(settings: Settings, error: Exception) -> str:
    number = getattr(error, "errno", None) or 0
    # asyncio repeats the address before the system's own words; those of a name that is not found have another number.
    reason = os.strerror(number) if number > 0 else getattr(error, "strerror", None) or str(error)
    return f"cannot listen at --host {settings.host} --port {settings.port} ({reason}); --port 0 takes one that is free"


def _stop_signal() -> asyncio.Event:
    """Returns what the first signal sets; the second ends the process as if this were not here."""
    loop, stop = asyncio.get_running_loop(), asyncio.Event()

    def stop_once() -> None:
        stop.set()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.remove_signal_handler(number)

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop_once)
    return stop
