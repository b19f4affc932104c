"""The live figures: counted right, and of fixed size."""

import re
from io import StringIO

from rich.console import Console

from proxy.demo.figures import LATENCIES, REMEMBERED, Figures, ReaderLine, TopicLine, percentile_ms
from proxy.demo.screen import line, tables
from proxy.demo.watch import Outcome, Seen


class Clock:
    now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


def record(name: str, **more: object) -> Seen:
    return {"topic": "sales", "value": {"event_id": name}, **more}


def send(figures: Figures, *names: str, outcome: Outcome = Outcome.WRITTEN) -> None:
    for name in names:
        figures.posting("sales", "k", {"event_id": name})
        figures.posted(name, outcome)


def make() -> tuple[Figures, Clock]:
    clock = Clock()
    return Figures({"shop": frozenset({"sales"})}, clock=clock), clock


def test_topics_count_by_outcome_and_readers_by_what_they_saw() -> None:
    figures, clock = make()
    send(figures, "a", "b", "c")
    send(figures, "d", outcome=Outcome.REFUSED)
    send(figures, "e", outcome=Outcome.UNKNOWN)
    figures.topics(), figures.readers()
    clock.now_s += 2
    send(figures, "f")
    figures.seen("shop", record("a"))
    figures.seen("shop", record("a", deliveries=2))
    figures.accepted("shop", [record("a")])
    assert figures.topics() == [TopicLine("sales", 4, 1, 1, 0.5)]
    assert figures.readers() == [ReaderLine("shop", 2, 1, 1, 3, 1.0, 2000.0, 2000.0)]


def test_a_rate_is_that_of_the_last_seconds() -> None:
    figures, clock = make()
    for _ in range(30):
        clock.now_s += 1
        send(figures, "a", "b")
        figures.topics()
    assert figures.topics()[0].per_second == 2.0
    clock.now_s += 60
    figures.topics()
    clock.now_s += 5
    assert figures.topics()[0].per_second == 0.0


def test_records_of_other_clients_are_seen_but_put_nobody_behind_or_ahead() -> None:
    figures, _ = make()
    send(figures, "a")
    figures.seen("shop", record("from elsewhere"))
    figures.seen("shop", {"topic": "sales", "value": "text"})
    (shop,) = figures.readers()
    assert (shop.seen, shop.behind, shop.p50_ms) == (2, 1, None)


def test_what_is_remembered_is_bounded() -> None:
    figures, _ = make()
    names = [str(number) for number in range(REMEMBERED + 10)]
    send(figures, *names)
    for name in names:
        figures.seen("shop", record(name))
    assert len(figures._sent) == REMEMBERED
    assert len(figures._readers["shop"].latencies_s) == LATENCIES


def test_percentiles_are_milliseconds() -> None:
    latencies_s = [number / 1000 for number in range(1, 102)]
    assert percentile_ms(latencies_s, 0.5) == 51.0
    assert percentile_ms(latencies_s, 0.99) == 100.0
    assert percentile_ms([], 0.5) is None


def test_the_table_and_the_line_say_the_same() -> None:
    figures, _ = make()
    send(figures, "a", "b")
    figures.seen("shop", record("a"))
    out = StringIO()
    Console(file=out, width=130).print(tables(figures, "a note"))
    assert re.search(r"sales +│ +2 │ +0 │ +0 │", out.getvalue())
    assert re.search(r"shop +│ +1 │ +0 │ +0 │ +1 │", out.getvalue())
    assert "2 written (0/s); shop 1 seen, 1 behind, p99 0 ms" in line(figures)
