"""Keeps the newest version of the serving folder loaded: loads the next one beside it, then switches over."""

import asyncio
import contextlib
from collections.abc import Iterator
from pathlib import Path

from components import serving_folder
from pipeline.serving import model as models
from pipeline.serving.model import LoadError, Model

_RETRY_AFTER = 60.0  # seconds until loading a broken version is tried again


class VersionManager:
    """Loads the newest version of a folder, and unloads a replaced one when its last request is done.

    Args:
        base: the folder of the versions, which need not exist yet.
        max_batch: the largest batch that a version will run on.

    Attributes:
        current: the served version, if any.
    """

    def __init__(self, base: Path, max_batch: int):
        self.base = base
        self.current: Model | None = None
        self._max_batch = max_batch
        self._users: dict[Model, int] = {}
        self._loading: int | None = None
        self._failed: LoadError | None = None
        self._failed_at = 0.0

    @contextlib.contextmanager
    def use_current(self) -> Iterator[Model | None]:
        """Yields the served version, which stays loaded for the block; None if no version is served."""
        model = self.current
        if model is None:
            yield None
            return
        self._users[model] += 1
        try:
            yield model
        finally:
            self._users[model] -= 1
            self._unload_if_unused(model)

    def states(self) -> list[tuple[int, str, str]]:
        """Returns (number, state, error message) of each known version, newest first."""
        states = {self._loading: ("LOADING", "")} if self._loading else {}
        if self._failed:
            states[self._failed.number] = ("END", str(self._failed))
        for model in self._users:
            states[model.number] = ("AVAILABLE" if model is self.current else "UNLOADING", "")
        return [(number, *states[number]) for number in sorted(states, reverse=True)]

    async def refresh(self) -> str | None:
        """Loads the newest version unless it is served already; returns a message for the terminal, if there is news.

        A version that cannot be loaded is tried again later.
        """
        newest = await asyncio.to_thread(self._find_newest)
        if newest is None or (self.current and newest == self.current.number) or self._failed_recently(newest):
            return None
        self._loading = newest
        try:
            model = await asyncio.to_thread(models.load_newest, self.base, self._max_batch)
        except LoadError as error:
            return self._record_failure(error)
        finally:
            self._loading = None
        return self._switch(model) if model else None

    def _find_newest(self) -> int | None:
        try:
            return next(iter(serving_folder.numbers(self.base)), None)
        except OSError:  # a disk that is away for a while; the loaded version does not need it
            return None

    def _failed_recently(self, number: int) -> bool:
        now = asyncio.get_running_loop().time()
        return self._failed is not None and self._failed.number == number and now < self._failed_at + _RETRY_AFTER

    def _record_failure(self, error: LoadError) -> str | None:
        known = self._failed is not None and self._failed.number == error.number
        self._failed, self._failed_at = error, asyncio.get_running_loop().time()
        fallback = f"version {self.current.number} stays" if self.current else "nothing is served"
        return None if known else f"version {error.number} cannot be served, {fallback} ({error})"

    def _switch(self, model: Model) -> str:
        previous, self.current, self._failed = self.current, model, None
        self._users[model] = 0
        if previous is not None:
            self._unload_if_unused(previous)
        return f"version {model.number} is served"

    def _unload_if_unused(self, model: Model) -> None:
        if model is not self.current and self._users[model] == 0:
            closed = asyncio.get_running_loop().run_in_executor(None, model.close)
            closed.add_done_callback(lambda _: self._users.pop(model))
