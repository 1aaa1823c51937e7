"""Keeps the newest version of the serving folder loaded: the next is made ready beside it, and then takes its place."""

import asyncio
import contextlib
from collections.abc import Iterator
from pathlib import Path

from components import serving_folder
from pipeline.serving import model as models
from pipeline.serving.model import Model, UnusableError

_PATIENCE = 60.0  # seconds until a version that could not be loaded is tried again


class Host:
    """Lends the newest version of a folder to those who ask it.

    Args:
        base: the folder of the versions; it need not be there yet.
        batch: the most images that a version will be asked at once.
    """

    def __init__(self, base: Path, batch: int):
        self.base = base
        self.current: Model | None = None
        self._batch = batch
        self._users: dict[Model, int] = {}
        self._loading: int | None = None
        self._failed: UnusableError | None = None
        self._failed_at = 0.0

    @contextlib.contextmanager
    def lend(self) -> Iterator[Model | None]:
        """Gives the version that is served now, which stays for as long as the block lives; None without one."""
        model = self.current
        if model is None:
            yield None
            return
        self._users[model] += 1
        try:
            yield model
        finally:
            self._users[model] -= 1
            self._let_go_if_unused(model)

    def states(self) -> list[tuple[int, str, str]]:
        """Returns the versions it knows of, newest first, each with its state and what is wrong with it."""
        states = {self._loading: ("LOADING", "")} if self._loading else {}
        if self._failed:
            states[self._failed.number] = ("END", str(self._failed))
        for model in self._users:
            states[model.number] = ("AVAILABLE" if model is self.current else "UNLOADING", "")
        return [(number, *states[number]) for number in sorted(states, reverse=True)]

    async def look(self) -> str | None:
        """Loads the newest version, if it is not the one that is served; returns what is to be told, if something is.

        One that cannot be served is tried again later.
        """
        newest = await asyncio.to_thread(self._newest)
        if newest is None or (self.current and newest == self.current.number) or self._failed_lately(newest):
            return None
        self._loading = newest
        try:
            model = await asyncio.to_thread(models.load_newest, self.base, self._batch)
        except UnusableError as error:
            return self._note_failure(error)
        finally:
            self._loading = None
        return self._switch(model) if model else None

    def _newest(self) -> int | None:
        try:
            return next(iter(serving_folder.numbers(self.base)), None)
        except OSError:  # a disk that is away for a while; the version that is loaded needs none
            return None

    def _failed_lately(self, number: int) -> bool:
        now = asyncio.get_running_loop().time()
        return self._failed is not None and self._failed.number == number and now < self._failed_at + _PATIENCE

    def _note_failure(self, error: UnusableError) -> str | None:
        told = self._failed is not None and self._failed.number == error.number
        self._failed, self._failed_at = error, asyncio.get_running_loop().time()
        stays = f"version {self.current.number} stays" if self.current else "nothing is served"
        return None if told else f"version {error.number} cannot be served, {stays} ({error})"

    def _switch(self, model: Model) -> str:
        earlier, self.current, self._failed = self.current, model, None
        self._users[model] = 0
        if earlier is not None:
            self._let_go_if_unused(earlier)
        return f"version {model.number} is served"

    def _let_go_if_unused(self, model: Model) -> None:
        if model is not self.current and self._users[model] == 0:
            closed = asyncio.get_running_loop().run_in_executor(None, model.close)
            closed.add_done_callback(lambda _: self._users.pop(model))
