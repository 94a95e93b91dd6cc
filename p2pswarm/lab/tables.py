"""Tables as text: aligned for a terminal, Markdown for docs, and the cells for whoever draws them otherwise.

Numbers of one column have as many decimals as three significant digits of the finest need, so that a column
can be compared at a glance. The numbers behind a chart are a table, too.
"""

from collections.abc import Sequence

from p2pswarm.lab.results import Chart, Table

__all__ = ["as_markdown", "as_text", "cells", "figures", "numeric"]

_NOTHING = "-"


def as_text(table: Table) -> str:
    """Title, columns, rows and note, each line without spaces at its end."""
    lines = [list(table.columns), *cells(table)]
    right = numeric(table)
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    aligned = [
        "  ".join(
            cell.rjust(width) if at_right else cell.ljust(width)
            for cell, width, at_right in zip(line, widths, right, strict=True)
        ).rstrip()
        for line in lines
    ]
    rule = "  ".join("-" * width for width in widths)
    note = ["", table.note] if table.note else []
    return "\n".join([table.title, "", aligned[0], rule, *aligned[1:], *note])


def as_markdown(table: Table) -> str:
    """A pipe table under its title in bold."""
    rule = ["---:" if at_right else "---" for at_right in numeric(table)]
    lines = [
        [_plain(column) for column in table.columns],
        rule,
        *([_plain(cell) for cell in row] for row in cells(table)),
    ]
    pipes = ["| " + " | ".join(line) + " |" for line in lines]
    note = ["", table.note] if table.note else []
    return "\n".join([f"**{table.title}**", "", *pipes, *note])


def _plain(text: str) -> str:
    return text.replace("\\", "\\\\").replace("|", "\\|").replace("<", "\\<")


def cells(table: Table) -> list[list[str]]:
    """The rows as they are shown."""
    digits = [_digits(column) for column in _columns(table)]
    return [[_cell(*each) for each in zip(row, digits, strict=True)] for row in table.rows]


def numeric(table: Table) -> list[bool]:
    """Which columns hold numbers and nothing else, and stand at the right."""
    return [
        any(map(_is_number, column)) and all(_is_number(v) or v is None for v in column)
        for column in _columns(table)
    ]


def _columns(table: Table) -> list[tuple[object, ...]]:
    if not table.rows:
        return [()] * len(table.columns)
    return list(zip(*table.rows, strict=True))


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _digits(column: Sequence[object]) -> int:
    """Behind the point: what three significant digits of the finest number need, at most six."""
    floats = [value for value in column if isinstance(value, float)]
    return min(6, max((_decimals(value) for value in floats), default=0))


def _decimals(value: float) -> int:
    places = f"{float(f'{value:.3g}'):.12f}".rstrip("0").partition(".")[2]
    return len(places)


def _cell(value: object, digits: int) -> str:
    match value:
        case None:
            return _NOTHING
        case bool():
            return "yes" if value else "no"
        case int():
            return f"{value:,}"
        case float():
            return f"{value:,.{digits}f}"
        case _:
            return " ".join(str(value).split())


def figures(chart: Chart) -> Table:
    """The numbers that a chart shows: a row for each x, a column for each line."""
    if chart.kind == "scatter":
        dots = tuple((line.label, x, y) for line in chart.lines for x, y in line.points)
        return Table(chart.title, ("", chart.x, chart.y), dots)
    known = [dict(line.points) for line in chart.lines]
    every = sorted({x for points in known for x in points})
    labels = tuple(line.label for line in chart.lines)
    rows = tuple((_tick(chart, x), *(points.get(x) for points in known)) for x in every)
    return Table(chart.title, (chart.x, *labels), rows, f"{chart.y} by {chart.x}")


def _tick(chart: Chart, x: float) -> object:
    return chart.ticks[int(x)] if chart.ticks else x
