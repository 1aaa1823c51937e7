"""Colours and live lines of real processes, in files and on a pseudo-terminal, by environment variables."""

import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
COLOUR, BOLD, CURSOR = "\x1b[32m", "\x1b[1m", "\x1b[?25l"  # green; headings of a table; a live display hides the cursor
SHOW = """
from pipeline.cli.output import print_table
from pipeline.cli.terminal import make_display
with make_display() as display:
    display.show({"event": "plan", "nodes": ["Trainer"]})
    for state in ("running", "complete"):
        display.show({"event": "node", "node": "Trainer", "state": state})
print_table(("run", "folder"), [("1", "x" * 200)])
"""


def environment(settings):
    inherited = {name: value for name, value in os.environ.items() if not name.endswith("_COLOR")}
    return inherited | {"PYTHONPATH": str(ROOT), "TERM": "xterm-256color", "LANG": "C.UTF-8"} | settings


def on_a_terminal(**settings):
    """Returns what a terminal receives."""
    ours, theirs = pty.openpty()
    child = subprocess.Popen([sys.executable, "-c", SHOW], stdout=theirs, stderr=theirs, env=environment(settings))
    os.close(theirs)
    received = b""
    try:
        while block := os.read(ours, 1 << 16):
            received += block
    except OSError:  # how a pseudo-terminal signals its end
        pass
    os.close(ours)
    assert child.wait() == 0, received
    return received.decode()


def in_files(**settings):
    """Returns what redirected stdout and stderr receive."""
    done = subprocess.run([sys.executable, "-c", SHOW], capture_output=True, text=True, env=environment(settings))
    assert done.returncode == 0, done.stderr
    return done.stdout, done.stderr


def test_terminal_has_live_lines_and_colours():
    shown = on_a_terminal()
    assert COLOUR in shown and BOLD in shown and CURSOR in shown


def test_no_color_removes_colours_and_keeps_live_lines():
    shown = on_a_terminal(NO_COLOR="1")
    assert CURSOR in shown and COLOUR not in shown and "\x1b[3" not in shown


def test_empty_no_color_is_ignored():
    assert COLOUR in on_a_terminal(NO_COLOR="")


@pytest.mark.parametrize("settings", [{"TERM": "dumb"}, {"TERM": "unknown"}])
def test_dumb_terminal_has_plain_lines(settings):
    shown = on_a_terminal(**settings)
    assert "\x1b" not in shown and "Trainer: complete" in shown


def test_files_have_plain_lines_and_full_cells():
    out, err = in_files()
    assert "\x1b" not in out + err and "x" * 200 in out
    assert err.splitlines()[0] == "Trainer: running" and err.splitlines()[1].startswith("Trainer: complete")


def test_force_color_adds_colours_to_files_but_no_live_lines():
    out, err = in_files(FORCE_COLOR="1")
    assert BOLD in out and "x" * 200 in out
    assert CURSOR not in err and err.splitlines()[0] == "Trainer: running"
