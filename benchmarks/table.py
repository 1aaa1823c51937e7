"""A table of results, rendered as Markdown, which is readable in a terminal too."""

from collections.abc import Sequence
from dataclasses import dataclass, field


@dataclass
class Table:
    """Rows of text under headings; the first column holds names, the others figures."""

    title: str
    headings: tuple[str, ...]
    rows: list[tuple[str, ...]] = field(default_factory=list)
    notes: tuple[str, ...] = ()  # paragraphs below the table

    def add(self, *cells: str) -> None:
        """Adds a row, with a cell for each heading."""
        assert len(cells) == len(self.headings), (self.headings, cells)
        self.rows.append(cells)

    def render(self) -> str:
        """Returns title, table and notes; names are aligned left, figures right."""
        lines = [self.headings, *self.rows]
        widths = [max(len(line[column]) for line in lines) for column in range(len(self.headings))]
        rule = ["-" * widths[0], *("-" * (width - 1) + ":" for width in widths[1:])]
        body = "\n".join(_line(line, widths) for line in (self.headings, rule, *self.rows))
        return "\n\n".join([f"### {self.title}", body, *self.notes])


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    padded = [cells[0].ljust(widths[0]), *map(str.rjust, cells[1:], widths[1:])]
    return f"| {' | '.join(padded)} |"


def number(value: float) -> str:
    """Formats with three significant digits, or all digits before the point: 0.0123, 1.23, 12.3, 1,234."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def percent(share: float) -> str:
    """Returns for example `64%` or `0.4%`."""
    return f"{share:.0%}" if share >= 0.1 else f"{share:.1%}"
