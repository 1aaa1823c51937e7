"""How commands print results and errors. Imports nothing heavy."""

import json
import sys
from collections.abc import Iterable
from typing import Any


def print_json(value: Any) -> int:
    """Prints the value as JSON; returns the exit code of a command that ends with it."""
    print(json.dumps(value, indent=2))
    return 0


def print_table(headings: Iterable[str], rows: Iterable[Iterable[str]]) -> None:
    """Prints a table to stdout as wide as the terminal; into a file or pipe at full width."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console()
    if not console.file.isatty():
        console = Console(width=1000)
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in headings:
        table.add_column(heading, overflow="fold")
    for row in rows:
        table.add_row(*map(Text, row))
    console.print(table)


def fail(sentence: str, exit_code: int) -> int:
    """Prints an error to stderr, after what was printed to stdout; returns the exit code."""
    sys.stdout.flush()
    print(f"shiftvit: {sentence}", file=sys.stderr)
    return exit_code
