"""Shows the progress of a run: live lines on a terminal, plain lines in a file or pipe."""

import contextlib
import time
from collections.abc import Iterator
from typing import Literal

from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from charts.formats import duration
from pipeline.cli import trial_table
from pipeline.cli.run_state import PENDING, Clock, Component, RunState, Stage
from pipeline.runs.events import CACHED, COMPLETE, FAILED, INTERRUPTED, RUNNING, SKIPPED, Event, Events, ProgressHandler
from shiftvit.progress import LOGGER

_MARKS = {  # of each state, also in ASCII
    PENDING: ("·", "."),
    COMPLETE: ("✓", "+"),
    CACHED: ("=", "="),
    SKIPPED: ("-", "-"),
    FAILED: ("✗", "x"),
    INTERRUPTED: ("!", "!"),
}
_STYLES = {
    PENDING: "dim",
    COMPLETE: "green",
    CACHED: "cyan",
    SKIPPED: "dim",
    FAILED: "bold red",
    INTERRUPTED: "yellow",
}
_BAR_WIDTH = 24
_MIN_TRIAL_ROWS = 8  # of the table of trials, even in a window too low for all components


class PlainDisplay:
    """A line for each change of state and each trial that ends, and one for progress at intervals."""

    def __init__(self, console: Console, clock: Clock = time.monotonic, interval: float = 10.0):
        self._console, self._interval = console, interval
        self._state = RunState(clock)
        self._printed: dict[tuple[str, str], tuple[float, float]] = {}  # time and `done`, by component and stage
        self._ended_trials = trial_table.EndedTrials()

    def __enter__(self) -> "PlainDisplay":
        return self

    def __exit__(self, *_: object) -> None:
        running = self._state.running
        if running is not None:
            self._state.interrupt()
            self._print_state(running)

    def show(self, event: Event) -> None:
        """Takes an event of the run."""
        self._state.update(event)
        if event["event"] == "note":
            self._print(event["message"])
        elif event["event"] == "node":
            self._print_state(self._state.components[event["node"]])
        elif event["event"] == "progress" and self._state.running is not None:
            self._print_progress(self._state.running, event["stage"])
        elif event["event"] == "trials" and self._state.running is not None:
            for sentence in self._ended_trials.describe_new(event):
                self._print(f"{self._state.running.name}: {sentence}")

    def _print_state(self, component: Component) -> None:
        seconds = None if component.state in (RUNNING, CACHED, SKIPPED) else component.seconds(self._state.clock())
        self._print(f"{component.name}: {component.state}{'' if seconds is None else f' after {duration(seconds)}'}")

    def _print_progress(self, component: Component, name: str) -> None:
        now, stage = self._state.clock(), component.stages[name]
        printed_at, printed = self._printed.get((component.name, name), (float("-inf"), None))
        due = stage.done != printed if stage.done >= stage.total else now - printed_at >= self._interval
        if due:
            self._printed[component.name, name] = now, stage.done
            self._print(f"{component.name}: {name} {stage.describe()}")

    def _print(self, text: str) -> None:
        self._console.print(text, markup=False, highlight=False, soft_wrap=True)


class LiveDisplay:
    """A line per component, updated in place; below the running one, its stages and trials."""

    def __init__(self, console: Console, clock: Clock = time.monotonic):
        self._console = console
        self._ascii = not (console.encoding or "").lower().startswith("utf")
        self._state = RunState(clock)
        self._spinner = Spinner("line" if self._ascii else "dots")
        self._live = Live(console=console, get_renderable=self._render, refresh_per_second=8)

    def __enter__(self) -> "LiveDisplay":
        self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._state.interrupt()
        self._live.stop()

    def show(self, event: Event) -> None:
        """Takes an event of the run; a note is printed above the live lines."""
        if event["event"] == "note":
            self._console.print(event["message"], markup=False, highlight=False)
        self._state.update(event)

    def _render(self) -> Group:
        """Returns the lines, at most one fewer than the window has."""
        components, height = list(self._state.components.values()), self._console.height
        rows: list[Table | Text] = []
        for component in components:
            rows.append(self._component_row(component))
            if component.state == RUNNING:
                rows.extend(self._stage_row(name, stage) for name, stage in list(component.stages.items()))
                rows.extend(self._trial_rows(component, len(components)))
                rows = rows[-(height - 2) :]  # in a low window, finished components are left out
        return Group(*rows[: max(1, height - 1)])

    def _trial_rows(self, component: Component, components: int) -> list[Text]:
        if component.trials is None:
            return []
        height, bars = self._console.height, len(component.stages)
        room = min(max(height - 1 - components - bars, _MIN_TRIAL_ROWS), height - 3 - bars)
        return trial_table.table(component.trials, room, self._ascii)

    def _component_row(self, component: Component) -> Table:
        state, seconds = component.state, component.seconds(self._state.clock())
        mark = self._spinner if state == RUNNING else Text(_MARKS[state][self._ascii], _STYLES[state])
        metrics = [
            f"{name} {value:.4g}" for stage in component.stages.values() for name, value in stage.metrics.items()
        ]
        note = " ".join(metrics) if state == COMPLETE else "" if state in (PENDING, RUNNING) else state
        row = self._row(2, 20, 9, None)
        row.add_row(
            mark,
            Text(component.name, "dim" if state == PENDING else "bold" if state == RUNNING else ""),
            Text(duration(seconds), justify="right"),
            Text(note, "dim"),
        )
        return row

    def _stage_row(self, name: str, stage: Stage) -> Table:
        width = min(_BAR_WIDTH, self._console.width // 5)
        row = self._row(4, 8, width, None)
        row.add_row("", Text(name), self._bar(stage, width), Text(stage.describe()))
        return row

    def _bar(self, stage: Stage, width: int) -> ProgressBar | Text:
        """Returns rich's bar, or without colour, where that leaves its rest blank, one whose rest is dots."""
        if not self._console.no_color:
            return ProgressBar(max(stage.total, 1e-9), stage.done, width)
        done = min(width, int(width * stage.done / max(stage.total, 1e-9)))
        return Text(("-" if self._ascii else "━") * done + ("." if self._ascii else "·") * (width - done))

    def _row(self, *widths: int | None) -> Table:
        """Returns an empty row of cells with these widths; None takes what is left."""
        row = Table.grid(padding=(0, 1), expand=True)  # without expand, a long cell would shrink the others
        overflow: Literal["crop", "ellipsis"] = "crop" if self._ascii else "ellipsis"
        for width in widths:
            row.add_column(width=width, no_wrap=True, overflow=overflow, ratio=None if width else 1)
        return row


def make_display() -> LiveDisplay | PlainDisplay:
    """Returns the display that suits stderr; stdout is left to the result.

    rich reads NO_COLOR, FORCE_COLOR and TERM. FORCE_COLOR makes rich take a file for a terminal; it still gets plain
    lines, because lines in a file cannot be updated.
    """
    console = Console(stderr=True)
    return LiveDisplay(console) if console.is_interactive and console.file.isatty() else PlainDisplay(console)


@contextlib.contextmanager
def show_stage(name: str) -> Iterator[Events]:
    """Shows work in this process as one component of a run, with the progress it reports.

    Meanwhile the progress logger does not propagate: TensorFlow adds a handler to the root logger, which would print
    every report a second time.
    """
    with make_display() as display:
        handler, events = ProgressHandler(display.show), Events(display.show)
        LOGGER.addHandler(handler)
        LOGGER.propagate = False
        try:
            events.start(name)
            yield events
            events.end(COMPLETE)
        except Exception:
            events.end(FAILED)
            raise
        finally:
            LOGGER.propagate = True
            LOGGER.removeHandler(handler)
