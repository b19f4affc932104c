"""The live demo on a terminal: a table that redraws itself; elsewhere a line every few seconds."""

import asyncio

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from proxy.demo.figures import Figures

REDRAW_EVERY_S = 0.5
LINE_EVERY_S = 5.0


async def show(console: Console, figures: Figures, note: str) -> None:
    """For ever; ends by cancellation, and leaves the terminal as it should be. `note` stands under the tables."""
    if not console.is_terminal:
        while True:
            await asyncio.sleep(LINE_EVERY_S)
            console.print(line(figures), markup=False, highlight=False, soft_wrap=True)
    with Live(tables(figures, note), console=console, auto_refresh=False) as live:
        while True:
            await asyncio.sleep(REDRAW_EVERY_S)
            live.update(tables(figures, note), refresh=True)


def tables(figures: Figures, note: str) -> Group:
    return Group(_topics(figures), _readers(figures), Text(note, style="dim"), Text("Ctrl-C ends the demo."))


def line(figures: Figures) -> str:
    topics, readers = figures.topics(), figures.readers()
    written, per_second = sum(topic.written for topic in topics), sum(topic.per_second for topic in topics)
    each = "; ".join(f"{r.reader} {r.seen} seen, {r.behind} behind, p99 {_ms(r.p99_ms)} ms" for r in readers)
    return f"{written} written ({per_second:.0f}/s); {each}"


def _topics(figures: Figures) -> Table:
    table = _table("topic", "written", "refused", "unknown", "/s")
    for topic in figures.topics():
        counts = (topic.written, topic.refused, topic.unknown)
        table.add_row(topic.topic, *(str(count) for count in counts), f"{topic.per_second:.1f}")
    return table


def _readers(figures: Figures) -> Table:
    table = _table("reader", "seen", "again", "accepted", "behind", "/s", "p50", "p99")
    table.caption = "p50, p99: milliseconds from the start of the POST to the reader"
    for reader in figures.readers():
        counts = (reader.seen, reader.again, reader.accepted, reader.behind)
        times = (_ms(reader.p50_ms), _ms(reader.p99_ms))
        table.add_row(reader.reader, *(str(count) for count in counts), f"{reader.per_second:.1f}", *times)
    return table


def _table(first: str, *others: str) -> Table:
    table = Table()
    table.add_column(first, min_width=15)
    for other in others:
        table.add_column(other, justify="right", min_width=5)
    return table


def _ms(value: float | None) -> str:
    return "–" if value is None else f"{value:.0f}"
