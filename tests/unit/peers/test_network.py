"""Workers on loopback: what is told arrives, what is asked is answered, and what breaks is noticed and mended."""

import asyncio
import socket
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from proxy.config.tls import PeerTls
from proxy.errors import PeerAway
from proxy.peers import connection
from proxy.peers.network import Network
from proxy.peers.privacy import Privacy
from proxy.seams.peers import PeerCaller, PeerLink
from tests.certificates import Authority
from tests.unit.wait import until


class Heard:
    """A service that notes what it hears, and answers what it is told to."""

    def __init__(self) -> None:
        self.said: list[Any] = []
        self.ups: list[str] = []
        self.downs: list[str] = []
        self.gone: list[str] = []
        self.callers: list[PeerCaller] = []
        self.gate: asyncio.Event | None = None

    def told(self, caller: PeerCaller, message: Any) -> None:
        self.callers.append(caller)
        self.said.append(message)

    async def asked(self, message: Any) -> Any:
        if self.gate is not None:
            await self.gate.wait()
        if message[0] == "fail":
            raise RuntimeError("a mistake of ours")
        return ["heard", message]

    def caller_gone(self, caller: PeerCaller) -> None:
        self.gone.append(caller.address)

    def lent(self, link: PeerLink, message: Any) -> None:
        self.said.append(message)

    def link_up(self, link: PeerLink) -> None:
        self.ups.append(link.address)

    def link_down(self, link: PeerLink) -> None:
        self.downs.append(link.address)


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


class Worker:
    def __init__(self, network: Network, heard: Heard) -> None:
        self.network = network
        self.heard = heard

    def follow(self, *others: "Worker") -> None:
        self.network.follow("g", [other.network.address for other in others])

    def link(self, other: "Worker") -> PeerLink:
        link = self.network.link(other.network.address)
        assert link is not None
        return link


@asynccontextmanager
async def worker(secrets: Sequence[str] = ("s",), port: int | None = None) -> AsyncIterator[Worker]:
    port = port or free_port()
    heard = Heard()
    async with Network("127.0.0.1", port, f"127.0.0.1:{port}", secrets) as network:
        network.serve("g", heard)
        yield Worker(network, heard)


@asynccontextmanager
async def pair() -> AsyncIterator[tuple[Worker, Worker]]:
    """The first is connected to the second."""
    async with worker() as a, worker() as b:
        a.follow(a, b)
        await until(lambda: a.link(b).is_up)
        yield a, b


async def test_what_is_told_arrives_in_order_and_goes_back_the_same_way() -> None:
    async with pair() as (a, b):
        for number in range(100):
            assert a.link(b).tell(["n", "g", number, b"\x00\xff", None, 1 << 62])
        await until(lambda: len(b.heard.said) == 100)
        assert b.heard.said == [["n", "g", number, b"\x00\xff", None, 1 << 62] for number in range(100)]
        assert b.heard.callers[0].address == a.network.address
        assert b.heard.callers[0].tell(["back", "g"])
        await until(lambda: a.heard.said == [["back", "g"]])


async def test_a_worker_does_not_call_itself() -> None:
    async with pair() as (a, b):
        assert a.network.links == {b.network.address: True}


async def test_questions_are_answered_side_by_side() -> None:
    async with pair() as (a, b):
        b.heard.gate = asyncio.Event()
        first = asyncio.create_task(a.link(b).ask(["q", "g", 1]))
        await asyncio.sleep(0)
        gate, b.heard.gate = b.heard.gate, None
        assert await a.link(b).ask(["q", "g", 2]) == ["heard", ["q", "g", 2]]
        gate.set()
        assert await first == ["heard", ["q", "g", 1]]


async def test_a_question_that_fails_there_or_is_for_nobody_is_answered_with_nothing() -> None:
    async with pair() as (a, b):
        assert await a.link(b).ask(["fail", "g"]) is None
        assert await a.link(b).ask(["q", "unknown group"]) is None


async def test_a_large_message_arrives() -> None:
    async with pair() as (a, b):
        assert await a.link(b).ask(["q", "g", b"x" * 5_000_000]) == ["heard", ["q", "g", b"x" * 5_000_000]]


async def test_a_break_is_told_to_both_and_mended() -> None:
    async with pair() as (a, b):
        b.heard.gate = asyncio.Event()
        asked = asyncio.create_task(a.link(b).ask(["q", "g"]))
        a.link(b).tell(["n", "g"])
        await until(lambda: bool(b.heard.said))
        for caller in list(b.network._callers):
            caller.close("the test says so")
        with pytest.raises(PeerAway) as broken:
            await asked
        assert broken.value.is_sent
        await until(lambda: b.heard.gone == [a.network.address])
        assert a.heard.downs == [b.network.address]
        await until(lambda: a.heard.ups == [b.network.address] * 2)
        assert a.link(b).tell(["again", "g"])
        await until(lambda: b.heard.said[-1] == ["again", "g"])


async def test_a_peer_that_is_not_there_yet_is_called_until_it_is() -> None:
    port = free_port()
    async with AsyncExitStack() as stack:
        a = await stack.enter_async_context(worker())
        a.network.follow("g", [f"127.0.0.1:{port}"])
        link = a.network.link(f"127.0.0.1:{port}")
        assert link is not None
        assert not link.tell(["n", "g"])
        with pytest.raises(PeerAway) as away:
            await link.ask(["q", "g"])
        assert not away.value.is_sent
        await stack.enter_async_context(worker(port=port))
        await until(lambda: link.is_up)


async def test_whom_no_group_follows_any_more_is_left() -> None:
    async with pair() as (a, b):
        a.network.follow("other", [b.network.address])
        a.network.follow("g", [])
        assert a.link(b).is_up
        a.network.follow("other", [])
        assert a.network.link(b.network.address) is None
        await until(lambda: b.heard.gone == [a.network.address])


async def test_a_worker_without_the_secret_is_refused_and_logged(caplog: pytest.LogCaptureFixture) -> None:
    async with worker() as a, worker(["another"]) as b:
        b.follow(a)
        await until(lambda: a.network.refused > 0)
        assert not b.link(a).is_up
        refused = next(record for record in caplog.records if record.getMessage() == "peer_refused")
        assert "peer.secret" in str(vars(refused))


async def test_garbage_and_half_a_greeting_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "HANDSHAKE_S", 0.05)
    async with worker() as a:
        port = int(a.network.address.rpartition(":")[2])
        for data in (b"GET / HTTP/1.1\r\n\r\n", b"\x00\x00\x00\x05hello", b"\x00\x00"):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(data)
            assert await asyncio.wait_for(_rest(reader), 5) == b""
            writer.close()
        assert a.network.refused == 3
        assert not a.heard.said


async def _rest(reader: asyncio.StreamReader) -> bytes:
    try:
        return await reader.read()
    except ConnectionResetError:
        return b""


async def test_a_silent_peer_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "PULSE_S", 0.02)
    async with pair() as (a, b):
        monkeypatch.setattr(connection, "SILENCE_S", 0.1)
        for caller in b.network._callers:
            caller._later(1_000, lambda: None)  # its pulse stops, as if it were frozen
        await until(lambda: a.heard.downs == [b.network.address])


async def test_a_peer_that_does_not_take_what_it_is_sent_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "MAX_UNSENT_BYTES", 1 << 20)
    async with pair() as (a, b):
        for caller in b.network._callers:
            assert caller._transport is not None
            caller._transport.pause_reading()
        while a.link(b).is_up:
            a.link(b).tell(["n", "g", b"x" * 500_000])
            await asyncio.sleep(0)
        assert a.heard.downs == [b.network.address]


# ---- with certificates


def tls(authority: Authority, name: str) -> PeerTls:
    pair = authority.server(name)
    return PeerTls(certificate=str(pair.certificate), key=str(pair.key), ca=str(authority.pem))


@asynccontextmanager
async def private(tls: PeerTls) -> AsyncIterator[Worker]:
    port, heard = free_port(), Heard()
    async with Network("127.0.0.1", port, f"127.0.0.1:{port}", ["s"], Privacy(tls)) as network:
        network.serve("g", heard)
        yield Worker(network, heard)


async def test_peers_of_one_authority_talk_unheard(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    async with private(tls(authority, "a")) as a, private(tls(authority, "b")) as b:
        a.follow(b)
        await until(lambda: a.link(b).is_up)
        assert await a.link(b).ask(["q", "g", b"x" * 1_000_000]) == ["heard", ["q", "g", b"x" * 1_000_000]]


async def test_a_stranger_with_the_secret_but_no_certificate_of_ours_is_not_heard(tmp_path: Path) -> None:
    ours, theirs = Authority(tmp_path, "ours"), Authority(tmp_path, "theirs")
    async with private(tls(ours, "a")) as a, private(tls(theirs, "b")) as b, worker() as plain:
        for stranger in (b, plain):
            stranger.follow(a)
        with pytest.raises(TimeoutError):
            await until(lambda: b.link(a).is_up or plain.link(a).is_up, within_s=0.5)
        assert a.heard.callers == []
        assert len(a.network._unknown) <= 1  # nothing is kept of those who never came so far


async def test_a_certificate_put_in_force_counts_for_the_next_connection(tmp_path: Path) -> None:
    old, new = Authority(tmp_path, "old"), Authority(tmp_path, "new")
    async with private(tls(old, "a")) as a, private(tls(old, "b")) as b:
        a.follow(b)
        await until(lambda: a.link(b).is_up)
        a.network.renew(tls(new, "a2"))
        b.network.renew(tls(new, "b2"))
        assert await a.link(b).ask(["q", "g", 1])  # which stands
        for connection in list(b.network._callers):
            connection.close("for the test")
        await until(lambda: not a.link(b).is_up)
        await until(lambda: a.link(b).is_up)
