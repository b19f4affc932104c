"""Tables on stdout. For a terminal: columns that fold to its width, cells of several lines, colour.

In a pipe: one line a row, two spaces or more between columns, no colour, nothing folded: for grep and awk -F'  +'.
"""

from collections.abc import Sequence

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

PIPE_WIDTH = 1_000_000
FIRST_WIDTH = 36  # of 80
NOTHING = "–"  # in place of an empty cell

ARROWS = {"produce": "→", "consume": "←", "passthrough": "⇄"}  # to Kafka, from Kafka, to an upstream and back
COLOURS = {"ok": "green", "serving": "green", "warn": "yellow", "fail": "red"}


def on_terminal() -> bool:
    return Console().is_terminal


def print_table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print rows under headings. A cell whose first line is one of COLOURS' words has its colour."""
    console = Console() if on_terminal() else Console(width=PIPE_WIDTH)
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="bold")
    for index, heading in enumerate(headings):
        table.add_column(heading, overflow="fold", no_wrap=index == 0 and _is_narrow(rows))
    for row in rows:
        table.add_row(*map(_cell, row))
    with console.capture() as capture:
        console.print(table)
    typer.echo("\n".join(line.rstrip() for line in capture.get().splitlines()), color=True)


def _is_narrow(rows: Sequence[Sequence[str]]) -> bool:
    """Whether the first column, which says what a row is about, leaves room for the others without being folded."""
    return all(len(line) <= FIRST_WIDTH for row in rows for line in row[0].splitlines())


def _cell(text: str) -> Text:
    return Text(text or NOTHING, style=COLOURS.get(text.partition("\n")[0], ""))
