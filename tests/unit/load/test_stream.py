"""An SSE client of the bench: what it counts as an event that came, came twice, or was never sent."""

import time
from typing import Any

import pytest

from tests.load.loader.http1 import WrongAnswer
from tests.load.loader.payload import event_body
from tests.load.loader.stream import Arrivals, Listener, number_after

HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"


class Wire:
    """A transport that remembers."""

    def __init__(self) -> None:
        self.written = b""

    def write(self, data: bytes) -> None:
        self.written += data


def _listener() -> tuple[Listener, Arrivals, list[float]]:
    latencies_s: list[float] = []
    arrivals = Arrivals()
    listener = Listener("/feed", latencies_s, arrivals)
    listener.connection_made(Wire())
    return listener, arrivals, latencies_s


def _chunk(data: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(data), data)


def _event(number: int) -> bytes:
    return b'id: 1\ndata: {"offset":4,"value":%s}\n\n' % event_body(number, time.monotonic_ns())


def test_it_asks_for_events() -> None:
    listener, _, _ = _listener()
    assert listener.transport.written.startswith(b"GET /feed HTTP/1.1\r\n")
    assert b"Accept: text/event-stream\r\n" in listener.transport.written


@pytest.mark.parametrize("size", [1, 7, 100_000])
def test_events_are_counted_however_the_bytes_are_cut(size: int) -> None:
    listener, arrivals, latencies_s = _listener()
    events = b"retry: 1000\n\n" + _event(0) + b": heartbeat\n\n" + _event(1)
    data = HEAD + b"".join(_chunk(events[start : start + 11]) for start in range(0, len(events), 11))
    for start in range(0, len(data), size):
        listener.data_received(data[start : start + size])
    assert (arrivals.delivered, arrivals.repeated, listener.seen) == (2, 0, {0, 1})
    assert len(latencies_s) == 2
    assert all(0 < latency_s < 60 for latency_s in latencies_s)


def test_a_repeated_event_is_no_delivery() -> None:
    listener, arrivals, latencies_s = _listener()
    listener.data_received(HEAD + _chunk(_event(0)) + _chunk(_event(0)))
    assert (arrivals.delivered, arrivals.repeated, len(latencies_s)) == (1, 1, 1)


def test_events_before_the_measurement_are_seen_but_not_counted() -> None:
    listener, arrivals, latencies_s = _listener()
    listener.data_received(HEAD + _chunk(_event(-1)))
    assert listener.seen == {-1}
    assert (arrivals.delivered, latencies_s) == (0, [])


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (HEAD + _chunk(b'data: {"value":{}}\n\n'), "an event that was not sent"),
        (b"HTTP/1.1 503 no\r\ncontent-length: 0\r\n\r\n", "GET /feed: 503"),
    ],
)
async def test_what_was_not_sent_is_no_figure(data: bytes, reason: str) -> None:
    listener, arrivals, _ = _listener()
    listener.data_received(data)
    with pytest.raises(WrongAnswer, match=reason):
        await arrivals.until(lambda: False, timeout_s=5)


async def test_a_stream_that_ends_early_is_no_figure() -> None:
    listener, arrivals, _ = _listener()
    listener.connection_lost(None)
    with pytest.raises(WrongAnswer, match="ended before"):
        await arrivals.until(lambda: False, timeout_s=5)


async def test_waiting_ends_when_all_has_come_or_the_time_is_over() -> None:
    _, arrivals, _ = _listener()
    assert not await arrivals.until(lambda: False, timeout_s=0)
    arrivals.count(repeated=False, warmup=False)
    assert await arrivals.until(lambda: arrivals.delivered == 1, timeout_s=5)


@pytest.mark.parametrize(
    ("event", "number"),
    [(b'{"seq":12,"a":1}', 12), (b'{"seq":-3}', -3), (b'{"seq":12}}', 12), (b'{"seq":"x"}', None), (b"{}", None)],
)
def test_a_number_is_found_behind_its_name(event: Any, number: int | None) -> None:
    assert number_after(event, b'"seq":') == number
