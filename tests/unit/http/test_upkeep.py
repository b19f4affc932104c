"""How streams end: whose, for what reason, and what becomes of a client that does not listen."""

import asyncio
from typing import Any

import pytest

from proxy.config.model import Config
from proxy.http.consume import NDJSON, SSE
from proxy.http.end import End
from proxy.http.exchange import Exchange
from proxy.http.interrupt import Interrupt
from proxy.http.upkeep import Ends, Upkeep
from tests.unit.http.served import Client, connected, served
from tests.unit.wait import until


def config(**consume: dict[str, Any]) -> Config:
    """A route for each name, with these keys of its `consume`."""
    routes = [{"route": f"GET /{name}", "name": name, "consume": {"topics": ["t"], **c}} for name, c in consume.items()]
    return Config.model_validate({"kafka": {"bootstrap_servers": "a:1"}, "routes": routes})


class Followed:
    """`Ends` under one configuration after the other."""

    def __init__(self) -> None:
        self.drain: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.ends = Ends(self.drain)

    def follow(self, **consume: dict[str, Any]) -> list[End]:
        now = config(**consume)
        self.ends.follow(now)
        return [self.ends.of(route) for route in now.routes]


async def test_streams_end_whose_route_reads_otherwise_and_no_others() -> None:
    followed = Followed()
    same, changed, gone, retired = followed.follow(same={}, changed={}, gone={}, retired={})
    followed.follow(same={}, changed={"shape": "values"}, retired={"closed": True}, new={})
    assert [end.done() for end in (same, changed, gone, retired)] == [False, True, True, True]
    assert [end.result() for end in (changed, gone, retired)] == ["reload", "reload", "closed"]
    assert followed.follow(same={})[0] is same


async def test_what_comes_after_a_change_is_told_of_the_next() -> None:
    followed = Followed()
    followed.follow(one={})
    (second,) = followed.follow(one={"closed": True})
    (third,) = followed.follow(one={})
    assert (second.result(), third.done()) == ("reload", False)


async def test_all_streams_end_with_the_bridge_also_those_of_a_last_reload() -> None:
    followed = Followed()
    (before,) = followed.follow(one={})
    followed.drain.set_result(None)
    (after,) = followed.follow(one={"shape": "values"})
    await until(lambda: before.done() and after.done())
    assert after.result() == "drain"


async def test_an_end_is_told_once_to_all_who_are_still_there() -> None:
    end, told = End(), list[str]()

    def first(_: object) -> None:
        told.append("first")

    def second(_: object) -> None:
        told.append("second")

    end.add_done_callback(first)
    end.add_done_callback(second)
    end.remove_done_callback(first)
    end.remove_done_callback(first)
    end.set_result("lifetime")
    end.set_result("drain")
    assert (told, end.result()) == (["second"], "lifetime")
    end.add_done_callback(first)
    await until(lambda: told == ["second", "first"])


@pytest.mark.parametrize(
    ("media", "opening", "beat"),
    [(SSE, b"retry: 700\nid: p\n", b"event: beat\ndata: {}\n\n"), (NDJSON, b"\n", b"\n")],
)
async def test_a_stream_opens_with_when_to_come_back_and_beats_as_told(media: str, opening: bytes, beat: bytes) -> None:
    one = Upkeep(End(), heartbeat_event="beat", retry_ms=700)
    assert (one.opening(media, "p"), one.heartbeat(media)) == (opening, beat)
    assert Upkeep(End()).heartbeat(SSE) == b":\n"


class Streaming:
    """An application whose answers never end by themselves, nor stop writing."""

    def __init__(self, one: Upkeep, piece: bytes) -> None:
        self.upkeep = one
        self.piece = piece
        self.reasons: list[str | None] = []
        self.returned = 0

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        exchange = Exchange(scope, receive, send)
        await exchange.begin(200, [(b"content-type", b"text/event-stream")])
        await exchange.write(b":\n")
        interrupt: Interrupt
        with self.upkeep.interrupt(exchange) as interrupt:
            while True:
                await exchange.write(self.piece)
                await asyncio.sleep(0)
        self.reasons.append(interrupt.reason)
        await self.upkeep.finish(exchange, SSE, interrupt.reason or "")
        self.returned += 1


async def test_a_client_that_reads_hears_why_and_then_the_answer_is_complete() -> None:
    end = End()
    async with connected(Streaming(Upkeep(end, retry_ms=1_000), b":\n")) as client:
        client.send(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        await client.reader.readuntil(b":\n")
        end.set_result("closed")
        rest = await client.rest()
    assert b'event: end\ndata: {"reason":"closed","retry_ms":1' in rest
    assert rest.endswith(b"\n\n\r\n0\r\n\r\n")


async def test_a_client_that_does_not_read_is_cut_when_its_stream_ends() -> None:
    app = Streaming(Upkeep(End(), lifetime_s=0.05, last_words_s=0.05), b"x" * 1_000_000)
    async with served(app) as port:
        client = await Client.connect(port)
        client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        client.writer.transport.pause_reading()  # type: ignore[attr-defined]
        await until(lambda: app.returned == 1)
        client.abort()
    assert app.reasons == ["lifetime"]
