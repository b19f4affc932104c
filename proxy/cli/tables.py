"""Tables: for a terminal in columns that fold to its width; in a pipe one line a row, without colour or folding."""

from collections.abc import Sequence

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

Cell = Sequence[str]  # lines one below the other; in a pipe they stand in one
PIPE_WIDTH = 1_000_000

COLOURS = {"ok": "green", "serving": "green", "warn": "yellow", "fail": "red"}


def print_table(headings: Sequence[str], rows: Sequence[Sequence[Cell | str]], console: Console | None = None) -> None:
    """Print rows under headings on stdout. A cell that is one of COLOURS' words has its colour."""
    console = console or stdout()
    if not console.is_terminal:
        console.width = PIPE_WIDTH
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="bold")
    for heading in headings:
        table.add_column(heading, overflow="fold")
    between = "\n" if console.is_terminal else " "
    for row in rows:
        table.add_row(*(_text(cell, between) for cell in row))
    with console.capture() as capture:
        console.print(table)
    typer.echo("\n".join(line.rstrip() for line in capture.get().splitlines()))


def stdout() -> Console:
    return Console(highlight=False, markup=False)


def _text(cell: Cell | str, between: str) -> Text:
    lines = (cell,) if isinstance(cell, str) else cell
    return Text(between.join(lines), style=COLOURS.get(lines[0] if lines else "", ""))
