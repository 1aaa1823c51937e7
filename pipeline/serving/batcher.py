"""Collects requests that come at the same time, so that the model is asked once for all of them.

All of it runs in the event loop, but for the model: that is asked in one thread, which is never the loop's.
"""

import asyncio
import contextlib
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from pipeline.serving.model import Model, RefusedError

Row = dict[str, Any]  # the outputs for one item, by name
Key = tuple[Model, str]  # who is asked, through which signature


class BadItemError(Exception):
    """The model refuses one item of a request: which, and why."""

    def __init__(self, index: int, reason: str):
        super().__init__(reason)
        self.index = index


@dataclass(eq=False)
class _Job:
    items: list[bytes]
    rows: asyncio.Future


class Batcher:
    """Asks models, several requests at a time.

    Args:
        largest: the most items that a model is asked at once.
        wait: how many seconds the first of a batch waits for others. What comes while a model is at work waits anyway.
        observe: is told the number of items each time a model is asked.
    """

    def __init__(self, largest: int, wait: float, observe: Callable[[int], None]):
        self._largest = largest
        self._wait = wait
        self._observe = observe
        self._waiting: dict[Key, deque[_Job]] = {}
        self._arrived = asyncio.Event()
        self._thread = ThreadPoolExecutor(1, "model")

    async def ask(self, model: Model, signature: str, items: list[bytes]) -> list[Row]:
        """Returns the outputs of each item. One that does not wait for them any more is passed over.

        Raises:
            BadItemError: when the model refuses one of them. Other requests are answered.
        """
        job = _Job(items, asyncio.get_running_loop().create_future())
        self._waiting.setdefault((model, signature), deque()).append(job)
        self._arrived.set()
        return await job.rows

    async def run(self) -> None:
        """Asks the models, until it is cancelled."""
        while True:
            while not self._waiting:
                await self._next_arrival()
            key = next(iter(self._waiting))  # those that wait longest
            await self._wait_for_more(key)
            await self._answer(key, self._take(key))

    async def _next_arrival(self) -> None:
        self._arrived.clear()
        await self._arrived.wait()

    async def _wait_for_more(self, key: Key) -> None:
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self._wait
        while (left := deadline - loop.time()) > 0 and _count(self._waiting[key]) < self._largest:
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(self._next_arrival(), left)

    def _take(self, key: Key) -> list[_Job]:
        """Takes jobs of at most `largest` items together, or one that has more; who is left goes to the end."""
        queue, jobs = self._waiting.pop(key), []
        while queue and (not jobs or _count(jobs) + len(queue[0].items) <= self._largest):
            job = queue.popleft()
            if not job.rows.done():  # else nobody waits for it any more
                jobs.append(job)
        if queue:
            self._waiting[key] = queue
        return jobs

    async def _answer(self, key: Key, jobs: list[_Job]) -> None:
        items = [item for job in jobs for item in job.items]
        asked = asyncio.get_running_loop().run_in_executor(self._thread, self._ask, *key, items)
        await asyncio.wait([asked])
        for job in jobs:
            if asked.exception():
                _settle(job, asked.exception())
            else:
                rows = asked.result()
                _settle(job, rows[: len(job.items)])
                del rows[: len(job.items)]

    def _ask(self, model: Model, signature: str, items: list[bytes]) -> list[Row | RefusedError]:
        rows = []
        for start in range(0, len(items), self._largest):
            rows += self._ask_some(model, signature, items[start : start + self._largest])
        return rows

    def _ask_some(self, model: Model, signature: str, items: list[bytes]) -> list[Row | RefusedError]:
        """One bad item makes a model refuse all; halving them finds it, and answers the others."""
        self._observe(len(items))
        try:
            return model.ask(signature, items)
        except RefusedError as refusal:
            if len(items) == 1:
                return [refusal]
        middle = len(items) // 2
        return [*self._ask_some(model, signature, items[:middle]), *self._ask_some(model, signature, items[middle:])]


def _count(jobs) -> int:
    return sum(len(job.items) for job in jobs)


def _settle(job: _Job, outcome: list[Row | RefusedError] | BaseException) -> None:
    if job.rows.done():
        return
    if isinstance(outcome, BaseException):
        job.rows.set_exception(outcome)
        return
    for index, row in enumerate(outcome):
        if isinstance(row, RefusedError):
            job.rows.set_exception(BadItemError(index, str(row)))
            return
    job.rows.set_result(outcome)
