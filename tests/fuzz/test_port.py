"""The public port under bytes that no client would send: seeded mutations of requests over a raw socket.

A running bridge, no Kafka: what is fuzzed is everything before it. Every whole answer has a status that is declared
(docs/answers.md), the process lives, its memory is flat, and it still serves.
"""

import asyncio
import random
import re
from collections import Counter
from pathlib import Path

import httpx
import pytest

from proxy import errors
from tests.bridge import Bridge, StartBridge
from tests.e2e.configuration import config, consume, produce
from tests.kafka.cluster import Kafka

SEEDS = [
    b'POST /in/7 HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: 9\r\n\r\n{"a": 12}',
    b'POST /in/7 HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\n{"a\r\n4\r\n":1}\r\n0\r\nT: x\r\n\r\n',
    b'POST /many HTTP/1.1\r\nHost: a\r\nContent-Type: application/x-ndjson\r\nContent-Length: 10\r\n\r\n{"a":1}\n{}',
    b"POST /many HTTP/1.1\r\nHost: a\r\nContent-Encoding: gzip\r\nContent-Length: 4\r\n\r\n\x1f\x8b\x08\x00",
    b"GET /feed?wait=0&max=1 HTTP/1.1\r\nHost: a\r\nAccept: text/event-stream\r\nLast-Event-ID: AVAx\r\n\r\n",
    b"GET /group?wait=0&ack=AVL HTTP/1.1\r\nHost: a\r\nPrefer: wait=0\r\n\r\n",
    b'POST /group/ack HTTP/1.1\r\nHost: a\r\nContent-Length: 29\r\n\r\n{"lease":"x","accept":"all"}\n',
    b"OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\nGET /feed HTTP/1.0\r\n\r\n",
]
PIECES = [
    *(
        b"\r\n",
        b"\n",
        b"\r",
        b"\0",
        b" ",
        b":",
        b"%",
        b"%2f",
        b"%00",
        b"..",
        b"//",
        b"\xff",
        b"{",
        b"[" * 50,
        b'"',
        b";",
    ),
    *(b"Content-Length: 5\r\n", b"Transfer-Encoding: chunked\r\n", b"Host: b\r\n", b"Expect: 100-continue\r\n"),
    *(b"99999999999999999999", b"-1", b"0x10", b"1e9", b"Upgrade: h2c\r\nConnection: upgrade\r\n", b"A" * 5_000),
]
OF_SUCCESS = {100, 200, 201, 204, 207, 304}
DECLARED = OF_SUCCESS | {each.status for each in vars(errors).values() if hasattr(each, "status")} - {500}
STATUS = re.compile(rb"HTTP/1\.1 (\d{3}) ")
GROWTH_BYTES = 48 * 1024 * 1024


def mutated(chance: random.Random) -> bytes:
    data = bytearray(chance.choice(SEEDS))
    for _ in range(chance.randint(0, 6)):
        at = chance.randrange(len(data) + 1)
        match chance.randrange(4):
            case 0:
                data[at:at] = chance.choice(PIECES)
            case 1:
                del data[at : at + chance.randint(1, 20)]
            case 2:
                data[at : at + 1] = bytes([chance.randrange(256)])
            case _:
                data += chance.choice(SEEDS)
    return bytes(data)


async def send(port: int, data: bytes, chance: random.Random) -> bytes:
    """In one piece or two, then the end of what is sent; all that comes back."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        cut = chance.randrange(len(data) + 1)
        for piece in (data[:cut], data[cut:]):
            writer.write(piece)
            await asyncio.sleep(0)
        writer.write_eof()
        async with asyncio.timeout(15):
            return await reader.read(1 << 20)
    except OSError:  # it has ended the connection
        return b""
    finally:
        writer.transport.abort()


def resident_bytes(pid: int) -> int:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * 4_096


async def attack(running: Bridge, count: int, seed: int) -> Counter[int]:
    chance, gate, seen = random.Random(seed), asyncio.Semaphore(50), Counter[int]()

    async def one() -> None:
        data = mutated(chance)
        async with gate:
            answer = await send(running.port, data, chance)
        for status in STATUS.findall(answer):
            seen[int(status)] += 1
            assert int(status) in DECLARED, (data, answer)

    for _ in range(0, count, 500):
        await asyncio.gather(*(one() for _ in range(500)))
    return seen


async def run(bridge: StartBridge, free_port: int, count: int) -> None:
    nowhere = Kafka.at(f"127.0.0.1:{free_port}")
    routes = (
        produce("POST /in/{id}", "t", key="{path.id}:{body.a}", timeout_ms=200),
        produce("POST /many", "t", batch=True, timeout_ms=200),
        consume("GET /feed", "t"),
        consume("GET /group", "t", group="g"),
    )
    running = await bridge(config(nowhere, *routes, limits={"header_timeout_ms": 2_000, "body_timeout_ms": 2_000}))
    await attack(running, 500, seed=0)  # what is made once is there by now
    before = resident_bytes(running.pid)
    seen = await attack(running, count, seed=20_261_122)
    assert sum(seen.values()) > count // 10, seen
    assert {400, 404} <= seen.keys(), seen
    assert resident_bytes(running.pid) - before < GROWTH_BYTES
    assert '"request_failed"' not in running.log
    assert "Traceback" not in running.log
    async with httpx.AsyncClient(base_url=running.admin_url) as admin:
        assert (await admin.get("/readyz")).status_code == 200
    assert await running.stop() == 0


async def test_the_port_answers_any_bytes_with_what_is_declared_and_lives(bridge: StartBridge, free_port: int) -> None:
    await run(bridge, free_port, 800)


@pytest.mark.long
@pytest.mark.timeout(500)
async def test_the_port_stands_ten_thousand_of_them(bridge: StartBridge, free_port: int) -> None:
    await run(bridge, free_port, 10_000)
