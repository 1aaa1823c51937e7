"""A table of results, written as Markdown: it reads in a terminal as in a document."""

from dataclasses import dataclass, field


@dataclass
class Table:
    """Rows of texts under headings; the first column is of names, the others of figures."""

    title: str
    headings: tuple[str, ...]
    rows: list[tuple[str, ...]] = field(default_factory=list)
    notes: tuple[str, ...] = ()  # what the figures are measured against

    def add(self, *cells: str) -> None:
        """Adds a row, which must have a cell under each heading."""
        assert len(cells) == len(self.headings), (self.headings, cells)
        self.rows.append(cells)

    def render(self) -> str:
        """Returns the table with its title above and its notes below, names to the left and figures to the right."""
        lines = [self.headings, *self.rows]
        widths = [max(len(line[column]) for line in lines) for column in range(len(self.headings))]
        rule = ["-" * widths[0], *("-" * (width - 1) + ":" for width in widths[1:])]
        shown = "\n".join(_line(line, widths) for line in (self.headings, rule, *self.rows))
        return "\n\n".join([f"### {self.title}", shown, *self.notes])


def _line(cells, widths) -> str:
    first, *others = (
        cell.rjust(width) if column else cell.ljust(width)
        for column, (cell, width) in enumerate(zip(cells, widths, strict=True))
    )
    return f"| {' | '.join([first, *others])} |"


def number(value: float) -> str:
    """Returns three digits of `value`, or all before the point: 0.0123, 1.23, 12.3, 1,234."""
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.3g}"


def percent(part: float) -> str:
    """Returns for example `64%`, or `0.4%`."""
    return f"{part:.0%}" if part >= 0.1 else f"{part:.1%}"
