"""Batches concurrent requests, so that the model runs once for all of them.

Everything runs in the event loop except the model, which runs in one worker thread.
"""

import asyncio
import contextlib
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from pipeline.serving.model import InvalidInputError, Item, Model

Row = dict[str, Any]  # the outputs for one item, by name
Key = tuple[Model, str]  # the model and its signature


class InvalidItemError(Exception):
    """The model rejects one item of a request; the message is the model's reason.

    Attributes:
        index: of the item in its request.
    """

    def __init__(self, index: int, reason: str):
        super().__init__(reason)
        self.index = index


@dataclass(eq=False)
class _Job:
    items: Sequence[Item]
    rows: asyncio.Future


class Batcher:
    """Runs models on batches of requests.

    Args:
        max_batch: the most items in a call of the model.
        max_wait: seconds that the first request of a batch waits for others while the model is idle. Requests that
            arrive while the model runs wait for it to finish in any case.
        observe: called with the number of items of each call of the model.
    """

    def __init__(self, max_batch: int, max_wait: float, observe: Callable[[int], None]):
        self._max_batch = max_batch
        self._max_wait = max_wait
        self._observe = observe
        self._waiting: dict[Key, deque[_Job]] = {}
        self._arrived = asyncio.Event()
        self._thread = ThreadPoolExecutor(1, "model")

    async def predict(self, model: Model, signature: str, items: Sequence[Item]) -> list[Row]:
        """Returns the outputs of each item. Jobs whose caller was cancelled are skipped.

        Raises:
            InvalidItemError: when the model rejects an item. Other requests of the batch still succeed.
        """
        job = _Job(items, asyncio.get_running_loop().create_future())
        self._waiting.setdefault((model, signature), deque()).append(job)
        self._arrived.set()
        return await job.rows

    async def run(self) -> None:
        """Processes jobs until it is cancelled."""
        while True:
            while not self._waiting:
                await self._next_arrival()
            key = next(iter(self._waiting))  # the key that has waited longest
            await self._wait_for_more(key)
            await self._process(key, self._take(key))

    async def _next_arrival(self) -> None:
        self._arrived.clear()
        await self._arrived.wait()

    async def _wait_for_more(self, key: Key) -> None:
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self._max_wait
        while (left := deadline - loop.time()) > 0 and _count(self._waiting[key]) < self._max_batch:
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(self._next_arrival(), left)

    def _take(self, key: Key) -> list[_Job]:
        """Takes the jobs of one batch, at least one; the remaining jobs go to the end of the queue of keys."""
        queue = self._waiting.pop(key)
        jobs: list[_Job] = []
        while queue and (not jobs or _count(jobs) + len(queue[0].items) <= self._max_batch):
            job = queue.popleft()
            if not job.rows.done():  # it is done if its caller was cancelled
                jobs.append(job)
        if queue:
            self._waiting[key] = queue
        return jobs

    async def _process(self, key: Key, jobs: list[_Job]) -> None:
        items = [item for job in jobs for item in job.items]
        prediction = asyncio.get_running_loop().run_in_executor(self._thread, self._predict, *key, items)
        await asyncio.wait([prediction])
        for job in jobs:
            error = prediction.exception()
            if error:
                _settle(job, error)
            else:
                rows = prediction.result()
                _settle(job, rows[: len(job.items)])
                del rows[: len(job.items)]

    def _predict(self, model: Model, signature: str, items: Sequence[Item]) -> list[Row | InvalidInputError]:
        rows: list[Row | InvalidInputError] = []
        for start in range(0, len(items), self._max_batch):
            rows += self._bisect(model, signature, items[start : start + self._max_batch])
        return rows

    def _bisect(self, model: Model, signature: str, items: Sequence[Item]) -> list[Row | InvalidInputError]:
        """Runs the model; if it rejects the batch for one bad item, splits the batch to find the item."""
        self._observe(len(items))
        try:
            return list(model.predict(signature, items))
        except InvalidInputError as error:
            if len(items) == 1:
                return [error]
        middle = len(items) // 2
        return [*self._bisect(model, signature, items[:middle]), *self._bisect(model, signature, items[middle:])]


def _count(jobs: Iterable[_Job]) -> int:
    return sum(len(job.items) for job in jobs)


def _settle(job: _Job, outcome: list[Row | InvalidInputError] | BaseException) -> None:
    if job.rows.done():
        return
    if isinstance(outcome, BaseException):
        job.rows.set_exception(outcome)
        return
    for index, row in enumerate(outcome):
        if isinstance(row, InvalidInputError):
            job.rows.set_exception(InvalidItemError(index, str(row)))
            return
    job.rows.set_result(outcome)
