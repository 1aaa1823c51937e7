"""What the terminal shows of a run: a live line per component, or plain lines where nobody watches."""

import contextlib
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from charts.formats import count, duration, grouped
from pipeline.cli import trial_table
from pipeline.runs.events import CACHED, COMPLETE, FAILED, INTERRUPTED, RUNNING, Event, Events, ProgressHandler
from shiftvit.progress import LOGGER

Clock = Callable[[], float]

PENDING = "pending"
_MARKS = {PENDING: ("·", "."), COMPLETE: ("✓", "+"), CACHED: ("=", "="), FAILED: ("✗", "x"), INTERRUPTED: ("!", "!")}
_STYLES = {PENDING: "dim", COMPLETE: "green", CACHED: "cyan", FAILED: "bold red", INTERRUPTED: "yellow"}
_TIME = "minute"  # the unit of a budget that is time itself, whose pace goes without saying
_SPAN = 1.0  # seconds that reports must span to tell a rate
_BAR_WIDTH = 24
_TRIAL_ROWS = 8  # that the trials of a search get, if there are as many, however low the window is


@dataclass
class Stage:
    """Long work inside a component: how far it is, how fast it goes."""

    done: float = 0.0
    total: float = 0.0
    unit: str = ""
    metrics: dict[str, float] = field(default_factory=dict)
    _began: float = 0.0
    _reports: deque = field(default_factory=deque)  # those that the rate is taken over

    def report(self, now: float, event: Event) -> None:
        """Takes a progress event, at `now` seconds."""
        if event["done"] < self.done:  # starts anew, as each trial of the tuner does
            self._reports.clear()
        if not self._reports:
            self._began = now
        self.done, self.total, self.unit = event["done"], event["total"], event["unit"].removesuffix("s")
        self.metrics = event.get("metrics") or {}
        self._reports.append((now, self.done))
        while len(self._reports) > 2 and self._reports[1][0] <= (self._began + now) / 2:
            self._reports.popleft()

    @property
    def rate(self) -> float | None:
        """Units a second over the later half of its time, which is past a slow start; None until that is time enough.

        Not over the last seconds: work that comes in jerks, as the trials of a search do, would seem to stand or fly.
        """
        if len(self._reports) < 2:
            return None
        (start, before), (end, after) = self._reports[0], self._reports[-1]
        return (after - before) / (end - start) if end - start >= _SPAN and after > before else None

    def describe(self) -> str:
        """Returns for example `3.2/20 epochs, 12 s/epoch, 3:22 left, loss 0.51`."""
        parts = [f"{grouped(self.done)}/{count(self.total, self.unit)}"]
        if self.rate:
            if self.unit != _TIME:
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
    trials: Event | None = None  # the newest event of that name

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
        elif event["event"] == "trials" and self.running is not None:
            self.running.trials = event

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
    """A line per change of state and per trial that ends, and now and then one of progress."""

    def __init__(self, console: Console, clock: Clock = time.monotonic, interval: float = 10.0):
        self._console, self._interval = console, interval
        self._progress = Progress(clock)
        self._told: dict[tuple[str, str], tuple[float, float]] = {}  # by component and stage: when, and how far it was
        self._ended_trials = trial_table.EndedTrials()

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
        elif event["event"] == "trials" and self._progress.running is not None:
            for sentence in self._ended_trials.describe_new(event):
                self._line(f"{self._progress.running.name}: {sentence}")

    def _print_state(self, node: Node) -> None:
        took = "" if node.state in (RUNNING, CACHED) else f" after {duration(node.seconds(self._progress.clock()))}"
        self._line(f"{node.name}: {node.state}{took}")

    def _print_progress(self, node: Node, name: str) -> None:
        now, stage = self._progress.clock(), node.stages[name]
        told_at, told = self._told.get((node.name, name), (float("-inf"), None))
        if stage.done != told if stage.done >= stage.total else now - told_at >= self._interval:
            self._told[node.name, name] = now, stage.done
            self._line(f"{node.name}: {name} {stage.describe()}")

    def _line(self, text: str) -> None:
        self._console.print(text, markup=False, highlight=False, soft_wrap=True)


class LiveDisplay:
    """A line per component that is kept up to date in place; under the running one its stages and its trials."""

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
        nodes, height = list(self._progress.nodes.values()), self._console.height
        rows = []
        for node in nodes:
            rows.append(self._node_row(node))
            if node.state == RUNNING:
                rows.extend(self._stage_row(name, stage) for name, stage in list(node.stages.items()))
                rows.extend(self._trial_rows(node, len(nodes)))
                rows = rows[-(height - 2) :]  # in a low window the finished ones give way
        return Group(*rows[: max(1, height - 1)])

    def _trial_rows(self, node: Node, nodes: int) -> list[Text]:
        if node.trials is None:
            return []
        height, bars = self._console.height, len(node.stages)
        room = min(max(height - 1 - nodes - bars, _TRIAL_ROWS), height - 3 - bars)
        return trial_table.table(node.trials, room, self._ascii)

    def _node_row(self, node: Node) -> Table:
        seconds = node.seconds(self._progress.clock())
        mark = self._spinner if node.state == RUNNING else Text(_MARKS[node.state][self._ascii], _STYLES[node.state])
        newest = [f"{name} {value:.4g}" for stage in node.stages.values() for name, value in stage.metrics.items()]
        note = " ".join(newest) if node.state == COMPLETE else "" if node.state in (PENDING, RUNNING) else node.state
        row = self._row(2, 20, 9, None)
        row.add_row(
            mark,
            Text(node.name, "dim" if node.state == PENDING else "bold" if node.state == RUNNING else ""),
            Text(duration(seconds), justify="right"),
            Text(note, "dim"),
        )
        return row

    def _stage_row(self, name: str, stage: Stage) -> Table:
        width = min(_BAR_WIDTH, self._console.width // 5)
        row = self._row(4, 8, width, None)
        row.add_row("", Text(name), ProgressBar(max(stage.total, 1e-9), stage.done, width), Text(stage.describe()))
        return row

    def _row(self, *widths: int | None) -> Table:
        row = Table.grid(padding=(0, 1), expand=True)  # else a long cell would take from the columns with a width
        for width in widths:
            overflow = "crop" if self._ascii else "ellipsis"
            row.add_column(width=width, no_wrap=True, overflow=overflow, ratio=None if width else 1)
        return row


def make_display() -> LiveDisplay | PlainDisplay:
    """Returns the display that suits stderr; stdout stays free for the result.

    Colours are as rich has them from the environment: NO_COLOR, FORCE_COLOR, TERM. A file stays one if it is coloured:
    rich takes it for a terminal then, but no line in it can be kept up to date.
    """
    console = Console(stderr=True)
    return LiveDisplay(console) if console.is_interactive and console.file.isatty() else PlainDisplay(console)


@contextlib.contextmanager
def show_stage(name: str) -> Iterator[Events]:
    """Shows work in this process as one component of a run, with the progress that it reports.

    The progress logger does not propagate meanwhile: TensorFlow gives the root logger a handler of its own.
    """
    with make_display() as display:
        handler, events = ProgressHandler(display.show), Events(display.show)
        LOGGER.addHandler(handler)
        LOGGER.propagate = False
        try:
            events.start(name)
            yield events
            events.end(COMPLETE)
        finally:
            LOGGER.propagate = True
            LOGGER.removeHandler(handler)


def print_table(headings: Iterable[str], rows: Iterable[Iterable[str]]) -> None:
    """Prints a table to stdout; into a file or pipe no cell is cut."""
    console = Console()
    if not console.file.isatty():
        console = Console(width=1000)
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in headings:
        table.add_column(heading, overflow="fold")
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))
    console.print(table)


def _pace(rate: float, unit: str) -> str:
    """Tells a rate below one a second as the seconds for each."""
    if rate < 1:
        return f"{1 / rate:,.3g} s/{unit}"
    return f"{rate:,.0f} {unit}s/s" if rate >= 100 else f"{rate:.3g} {unit}s/s"
