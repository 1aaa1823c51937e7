"""The state of a run as its events describe it: components, and the stages of long work inside them."""

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from charts.formats import count, duration, grouped
from pipeline.runs.events import INTERRUPTED, RUNNING, Event, ProgressEvent, TrialsEvent

Clock = Callable[[], float]  # seconds

PENDING = "pending"
_TIME_UNIT = "minute"  # of a time budget, for which a rate is meaningless
_MIN_SPAN = 1.0  # seconds that the reports must span to measure a rate


@dataclass
class Stage:
    """Long work inside a component: how much is done, and at which rate."""

    done: float = 0.0
    total: float = 0.0
    unit: str = ""
    metrics: dict[str, float] = field(default_factory=dict)
    _began: float = 0.0
    _first: tuple[float, float] = (0.0, 0.0)  # the first report
    _reports: deque[tuple[float, float]] = field(default_factory=deque)  # those that the rate is measured over

    def update(self, now: float, event: ProgressEvent) -> None:
        """Takes a progress event at `now` seconds."""
        if event["done"] < self.done:  # starts again, as each trial of the tuner does
            self._reports.clear()
        if not self._reports:
            self._began, self._first = now, (now, event["done"])
        self.done, self.total, self.unit = event["done"], event["total"], event["unit"].removesuffix("s")
        self.metrics = dict(event.get("metrics") or {})
        self._reports.append((now, self.done))
        while len(self._reports) > 2 and self._reports[1][0] <= (self._began + now) / 2:
            self._reports.popleft()

    @property
    def rate(self) -> float | None:
        """Units per second over the second half of the time so far, or over all of it once done; None if too short.

        The second half leaves out a slow start. The last seconds alone would not do: work that advances in steps, such
        as the trials of a search, would seem to stop and jump.
        """
        if len(self._reports) < 2:
            return None
        (start, before), (end, after) = self._reports[0], self._reports[-1]
        if self.done >= self.total:
            start, before = self._first
        return (after - before) / (end - start) if end - start >= _MIN_SPAN and after > before else None

    def describe(self) -> str:
        """Returns for example `3.2/20 epochs, 12 s/epoch, 3:22 left, loss 0.51`."""
        parts = [f"{grouped(self.done)}/{count(self.total, self.unit)}"]
        if self.rate:
            if self.unit != _TIME_UNIT:
                parts.append(_describe_rate(self.rate, self.unit))
            if self.done < self.total:
                parts.append(f"{duration((self.total - self.done) / self.rate)} left")
        metrics = " ".join(f"{name} {value:.4g}" for name, value in self.metrics.items())
        return ", ".join([*parts, metrics] if metrics else parts)


@dataclass
class Component:
    """A component of the run."""

    name: str
    state: str = PENDING
    started: float | None = None
    ended: float | None = None
    stages: dict[str, Stage] = field(default_factory=dict)
    trials: TrialsEvent | None = None  # the latest one

    def seconds(self, now: float) -> float | None:
        """Returns its duration, by `now` if it runs; None before it starts."""
        return None if self.started is None else (self.ended or now) - self.started


class RunState:
    """The components of a run, in order, and which one runs."""

    def __init__(self, clock: Clock = time.monotonic):
        self.clock = clock
        self.components: dict[str, Component] = {}
        self.running: Component | None = None

    def update(self, event: Event) -> None:
        """Takes an event of the run; events that are not about a component change nothing."""
        if event["event"] == "plan":
            self.components |= {name: Component(name) for name in event["nodes"] if name not in self.components}
        elif event["event"] == "node":
            self._enter(self.components.setdefault(event["node"], Component(event["node"])), event["state"])
        elif event["event"] == "progress" and self.running is not None:
            self.running.stages.setdefault(event["stage"], Stage()).update(self.clock(), event)
        elif event["event"] == "trials" and self.running is not None:
            self.running.trials = event

    def _enter(self, component: Component, state: str) -> None:
        component.state = state
        if state == RUNNING:
            component.started, self.running = self.clock(), component
        else:
            component.ended = self.clock()
            component.started = component.ended if component.started is None else component.started
            self.running = None if component is self.running else self.running

    def interrupt(self) -> None:
        """Marks the running component, if any, as interrupted: the run ended without an event for it."""
        if self.running is not None:
            self._enter(self.running, INTERRUPTED)


def _describe_rate(rate: float, unit: str) -> str:
    """Returns units per second, or seconds per unit if the rate is below one."""
    if rate < 1:
        return f"{1 / rate:,.3g} s/{unit}"
    return f"{rate:,.0f} {unit}s/s" if rate >= 100 else f"{rate:.3g} {unit}s/s"
