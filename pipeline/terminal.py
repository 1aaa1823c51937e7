"""What the terminal shows of a run: a live line per component, or plain lines where nobody watches."""

import logging
import time
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from pipeline.events import CACHED, COMPLETE, FAILED, INTERRUPTED, RUNNING, Event
from shiftvit.progress import FACTS

Clock = Callable[[], float]

PENDING = "pending"
_MARKS = {PENDING: ("·", "."), COMPLETE: ("✓", "+"), CACHED: ("=", "="), FAILED: ("✗", "x"), INTERRUPTED: ("!", "!")}
_STYLES = {PENDING: "dim", COMPLETE: "green", CACHED: "cyan", FAILED: "bold red", INTERRUPTED: "yellow"}
_WINDOW = 30  # reports that the rate is averaged over
_SPAN = 1.0  # seconds that they must span
_BAR_WIDTH = 24


@dataclass
class Stage:
    """Long work inside a component: how far it is, how fast it goes."""

    done: float = 0.0
    total: float = 0.0
    unit: str = ""
    metrics: dict[str, float] = field(default_factory=dict)
    _reports: deque = field(default_factory=lambda: deque(maxlen=_WINDOW))

    def report(self, now: float, event: Event) -> None:
        """Takes a progress event, at `now` seconds."""
        if event["done"] < self.done:  # starts anew, as each trial of the tuner does
            self._reports.clear()
        self.done, self.total, self.unit = event["done"], event["total"], event["unit"].removesuffix("s")
        self.metrics = event.get("metrics") or {}
        self._reports.append((now, self.done))

    @property
    def rate(self) -> float | None:
        """Units a second over the newest reports; None until they span enough time to tell."""
        if len(self._reports) < 2:
            return None
        (start, before), (end, after) = self._reports[0], self._reports[-1]
        return (after - before) / (end - start) if end - start >= _SPAN and after > before else None

    def describe(self) -> str:
        """Returns for example `3.2/20 epochs, 12 s/epoch, 3:22 left, loss 0.51`."""
        plural = "" if self.total == 1 else "s"
        parts = [f"{_number(self.done)}/{_number(self.total)} {self.unit}{plural}"]
        if self.rate:
            parts.append(_pace(self.rate, self.unit))
            if self.done < self.total:
                parts.append(f"{duration((self.total - self.done) / self.rate)} left")
        shown = " ".join(f"{name} {value:.4g}" for name, value in self.metrics.items())
        return ", ".join([*parts, shown] if shown else parts)


@dataclass
class Node:
    """A component of the run."""

    name: str
    state: str = PENDING
    started: float | None = None
    ended: float | None = None
    stages: dict[str, Stage] = field(default_factory=dict)

    def seconds(self, now: float) -> float | None:
        """Returns how long it took, or has taken by `now`; None before it starts."""
        return None if self.started is None else (self.ended or now) - self.started


class Progress:
    """All that the events have told so far."""

    def __init__(self, clock: Clock = time.monotonic):
        self.clock = clock
        self.nodes: dict[str, Node] = {}
        self.running: Node | None = None

    def update(self, event: Event) -> None:
        """Takes an event of the run; those that say nothing of a component change nothing."""
        if event["event"] == "plan":
            self.nodes |= {name: Node(name) for name in event["nodes"] if name not in self.nodes}
        elif event["event"] == "node":
            self._enter(self.nodes.setdefault(event["node"], Node(event["node"])), event["state"])
        elif event["event"] == "progress" and self.running is not None:
            self.running.stages.setdefault(event["stage"], Stage()).report(self.clock(), event)

    def _enter(self, node: Node, state: str) -> None:
        node.state = state
        if state == RUNNING:
            node.started, self.running = self.clock(), node
        else:
            node.ended = self.clock()
            node.started = node.ended if node.started is None else node.started
            self.running = None if node is self.running else self.running

    def interrupt(self) -> None:
        """Marks what was running when the run ended without a word of it."""
        if self.running is not None:
            self._enter(self.running, INTERRUPTED)


class PlainDisplay:
    """A line per change of state, and now and then one of progress."""

    def __init__(self, console: Console, clock: Clock = time.monotonic, interval: float = 10.0):
        self._console, self._interval = console, interval
        self._progress = Progress(clock)
        self._told: dict[tuple[str, str], float] = {}  # when a line was last printed, by component and stage

    def __enter__(self) -> "PlainDisplay":
        return self

    def __exit__(self, *_: object) -> None:
        running = self._progress.running
        if running is not None:
            self._progress.interrupt()
            self._print_state(running)

    def show(self, event: Event) -> None:
        """Takes an event of the run."""
        self._progress.update(event)
        if event["event"] == "note":
            self._line(event["message"])
        elif event["event"] == "node":
            self._print_state(self._progress.nodes[event["node"]])
        elif event["event"] == "progress" and self._progress.running is not None:
            self._print_progress(self._progress.running, event["stage"])

    def _print_state(self, node: Node) -> None:
        took = "" if node.state in (RUNNING, CACHED) else f" after {duration(node.seconds(self._progress.clock()))}"
        self._line(f"{node.name}: {node.state}{took}")

    def _print_progress(self, node: Node, name: str) -> None:
        now, stage = self._progress.clock(), node.stages[name]
        finished = stage.done >= stage.total
        if finished or now - self._told.get((node.name, name), float("-inf")) >= self._interval:
            self._told[node.name, name] = now
            self._line(f"{node.name}: {name} {stage.describe()}")

    def _line(self, text: str) -> None:
        self._console.print(text, markup=False, highlight=False, soft_wrap=True)


class LiveDisplay:
    """A line per component that is kept up to date in place."""

    def __init__(self, console: Console, clock: Clock = time.monotonic):
        self._console = console
        self._ascii = not (console.encoding or "").lower().startswith("utf")
        self._progress = Progress(clock)
        self._spinner = Spinner("line" if self._ascii else "dots")
        self._live = Live(console=console, get_renderable=self._render, refresh_per_second=8)

    def __enter__(self) -> "LiveDisplay":
        self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.interrupt()
        self._live.stop()

    def show(self, event: Event) -> None:
        """Takes an event of the run; a note stands above the live lines."""
        if event["event"] == "note":
            self._console.print(event["message"], markup=False, highlight=False)
        self._progress.update(event)

    def _render(self) -> Group:
        rows = []
        for node in list(self._progress.nodes.values()):
            rows.append(self._node_row(node))
            rows.extend(
                self._stage_row(name, stage) for name, stage in list(node.stages.items()) if node.state == RUNNING
            )
            if node.state == RUNNING:
                rows = rows[-(self._console.height - 2) :]  # in a low window the finished ones give way
        return Group(*rows[: max(1, self._console.height - 1)])

    def _node_row(self, node: Node) -> Table:
        seconds = node.seconds(self._progress.clock())
        mark = self._spinner if node.state == RUNNING else Text(_MARKS[node.state][self._ascii], _STYLES[node.state])
        newest = [f"{name} {value:.4g}" for stage in node.stages.values() for name, value in stage.metrics.items()]
        note = " ".join(newest) if node.state == COMPLETE else "" if node.state in (PENDING, RUNNING) else node.state
        row = _row(2, 20, 9, None)
        row.add_row(
            mark,
            Text(node.name, "dim" if node.state == PENDING else "bold" if node.state == RUNNING else ""),
            Text("" if seconds is None else duration(seconds), justify="right"),
            Text(note, "dim"),
        )
        return row

    def _stage_row(self, name: str, stage: Stage) -> Table:
        row = _row(4, 8, _BAR_WIDTH, None)
        row.add_row("", Text(name), ProgressBar(max(stage.total, 1e-9), stage.done, _BAR_WIDTH), Text(stage.describe()))
        return row


class ProgressHandler(logging.Handler):
    """Shows what `shiftvit.progress` reports in this process."""

    def __init__(self, show: Callable[[Event], None]):
        super().__init__()
        self._show = show

    def emit(self, record: logging.LogRecord) -> None:
        """Passes the facts of the report on as a progress event."""
        self._show({"event": "progress", **getattr(record, FACTS)})


def make_display() -> LiveDisplay | PlainDisplay:
    """Returns the display that suits stderr; stdout stays free for the result."""
    console = Console(stderr=True)
    return LiveDisplay(console) if console.is_terminal and not console.is_dumb_terminal else PlainDisplay(console)


def print_table(headings: Iterable[str], rows: Iterable[Iterable[str]]) -> None:
    """Prints a table to stdout; into a file or pipe no cell is cut."""
    console = Console()
    if not console.is_terminal:
        console = Console(width=1000)
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in headings:
        table.add_column(heading, overflow="fold")
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))
    console.print(table)


def duration(seconds: float | None) -> str:
    """Returns for example `0:07`, `12:30` or `1:02:05`."""
    minutes, second = divmod(round(seconds or 0), 60)
    hours, minute = divmod(minutes, 60)
    return f"{hours}:{minute:02}:{second:02}" if hours else f"{minute}:{second:02}"


def _row(*widths: int | None) -> Table:
    row = Table.grid(padding=(0, 1))
    for width in widths:
        row.add_column(width=width, no_wrap=True, overflow="ellipsis", ratio=None if width else 1)
    return row


def _number(value: float) -> str:
    return f"{value:,.0f}" if value == round(value) else f"{value:,.1f}"


def _pace(rate: float, unit: str) -> str:
    """Tells a rate below one a second as the seconds for each."""
    if rate < 1:
        return f"{1 / rate:,.3g} s/{unit}"
    return f"{rate:,.0f} {unit}s/s" if rate >= 100 else f"{rate:.3g} {unit}s/s"
