"""The result of `--check`, for people: a table, and each failure in a line."""

from rich.console import Console
from rich.table import Table

from proxy.demo.verdict import Verdict

COLUMNS = ("sent", "answered", "seen", "again before", "again after", "missing", "out of order")


def print_verdict(console: Console, verdict: Verdict) -> None:
    table = Table(title="What every reader saw of every topic", title_justify="left")
    table.add_column("reader")
    table.add_column("topic")
    for column in COLUMNS:
        table.add_column(column, justify="right")
    for row in verdict.rows:
        counts = (getattr(row, column.replace(" ", "_")) for column in COLUMNS)
        table.add_row(row.reader, row.topic, *(str(count) for count in counts))
    console.print(table)
    console.print('"again before" and "again after" count sights of a record before and after it was accepted.')
    for failure in verdict.failures:
        console.print(f"FAILED  {failure}", markup=False, highlight=False, soft_wrap=True, style="red")
    if verdict.good:
        console.print("Every record reached every reader that should see it, in order, and none came back.")
