"""A batch route on a real listener, and in place of Kafka what the test says of each record."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson

from proxy.clock import Deadline
from proxy.errors import ProxyError
from proxy.http.batch import BatchEndpoint
from proxy.http.dispatch import Dispatcher, Endpoint
from proxy.http.items import ItemWriter
from proxy.http.ndjson import NdjsonEndpoint
from proxy.http.protocol import Policy
from proxy.limits.gate import Gate, Streams
from proxy.observe.metrics import Metrics
from proxy.record import Receipt, Record
from proxy.routes.table import RouteTable
from tests.unit.http.served import Client, served
from tests.unit.routes.requests import recipe

NDJSON = "application/x-ndjson"


class ScriptedSubmitter:
    """`seams.Submitter`. Records get rising offsets, or what `fate` says; while `open` is not set nothing moves."""

    def __init__(self, fate: Callable[[Record], ProxyError | None] = lambda record: None) -> None:
        self.fate = fate
        self.windows: list[int] = []  # how many came together, each time
        self.values: list[bytes | None] = []
        self.keys: list[bytes | None] = []
        self.open = asyncio.Event()
        self.open.set()

    async def submit(self, record: Record, deadline: Deadline) -> Receipt:
        (outcome,) = await self.submit_many([record], deadline)
        if isinstance(outcome, ProxyError):
            raise outcome
        return outcome

    async def submit_many(self, records: Sequence[Record], deadline: Deadline) -> Sequence[Receipt | ProxyError]:
        self.windows.append(len(records))
        await self.open.wait()
        return [self.fate(record) or self._written(record) for record in records]

    def _written(self, record: Record) -> Receipt:
        self.values.append(record.value)
        self.keys.append(record.key)
        return Receipt(record.topic, 0, len(self.values) - 1, 17)


@dataclass
class Batching:
    """`POST /b/{store}`: with its bounds, and what is counted."""

    submitter: ScriptedSubmitter = field(default_factory=ScriptedSubmitter)
    gate: Gate = field(default_factory=lambda: Gate(100, 10_000_000))
    own: Gate = field(default_factory=lambda: Gate(100, 10_000_000, "route b"))
    streams: Streams = field(default_factory=lambda: Streams(100))
    zstd: Gate = field(default_factory=lambda: Gate(100, 0))
    metrics: Metrics = field(default_factory=Metrics)
    max_body_bytes: int = 1_000_000
    timeout_s: float = 5.0
    produce: dict[str, Any] = field(default_factory=lambda: {"key": "{path.store}:{body.sku}"})
    response: Any = None
    port: int = 0
    drain: "asyncio.Future[None]" = field(default_factory=lambda: asyncio.get_running_loop().create_future())

    def __post_init__(self) -> None:
        self.own.outer = self.gate

    @contextlib.asynccontextmanager
    async def serve(self) -> AsyncIterator["Batching"]:
        async with served(Dispatcher(self._table(), self.metrics), Policy()) as self.port:
            yield self

    def _table(self) -> RouteTable[Endpoint]:
        metrics = self.metrics.route("b")
        made = recipe(self.response, batch=True, **self.produce)
        many = ItemWriter(made, self.submitter, metrics, self.timeout_s)
        gate = self.own
        ndjson = NdjsonEndpoint(many, gate, self.streams, self.zstd, self.max_body_bytes, self.drain)
        batch = BatchEndpoint(made, self.submitter, gate, metrics, self.max_body_bytes, self.timeout_s, many, ndjson)
        return RouteTable.build([("POST", "/b/{store}", Endpoint("b", batch, metrics))])

    @property
    def is_idle(self) -> bool:
        """Nothing is held or counted by any bound."""
        gates = (self.gate, self.own, self.zstd)
        held = [*(gate.count for gate in gates), *(gate.held_bytes for gate in gates), self.streams.count]
        route = self.metrics.route("b")
        return not any([*held, route.open_streams, route.in_flight])


async def post(port: int, body: bytes, content_type: str | None = "application/json", **headers: str) -> "Answered":
    """One request with a Content-Length, and its answer. A header's name has `_` where HTTP has `-`."""
    client = await Client.connect(port)
    lines = [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    lines += [f"content-type: {content_type}"] if content_type else []
    head = "\r\n".join(["POST /b/7 HTTP/1.1", "host: a", f"content-length: {len(body)}", *lines, "\r\n"])
    client.send(head.encode() + body)
    try:
        return await answered(client)
    finally:
        client.close()


@dataclass(frozen=True, slots=True)
class Answered:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return orjson.loads(self.body)

    @property
    def lines(self) -> list[Any]:
        return [orjson.loads(line) for line in self.body.splitlines()]


async def answered(client: Client) -> Answered:
    """A whole answer, with a length or in chunks."""
    async with asyncio.timeout(5):
        head = (await client.reader.readuntil(b"\r\n\r\n")).decode()
        status_line, *lines = head.strip().split("\r\n")
        headers = dict(line.split(": ", 1) for line in lines)
        if headers.get("transfer-encoding") == "chunked":
            body = b"".join([piece async for piece in chunks(client)])
        else:
            body = await client.reader.readexactly(int(headers.get("content-length", "0")))
    return Answered(int(status_line.split()[1]), headers, body)


async def chunks(client: Client) -> AsyncIterator[bytes]:
    """The pieces of a chunked body as they arrive, to its end."""
    while size := int(await client.reader.readline(), 16):
        yield await client.reader.readexactly(size)
        await client.reader.readexactly(2)
    await client.reader.readexactly(2)


class Upload:
    """An NDJSON request whose body is sent, and whose results are read, piece by piece."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self._unread = b""

    @classmethod
    async def begin(cls, port: int, **headers: str) -> "Upload":
        client = await Client.connect(port)
        lines = [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
        head = ["POST /b/7 HTTP/1.1", "host: a", f"content-type: {NDJSON}", "transfer-encoding: chunked", *lines]
        client.send("\r\n".join([*head, "\r\n"]).encode())
        return cls(client)

    async def send(self, piece: bytes) -> None:
        """Waits while the bridge does not read."""
        self.client.send(b"%x\r\n%b\r\n" % (len(piece), piece))
        await self.client.writer.drain()

    def end(self) -> None:
        self.client.send(b"0\r\n\r\n")

    async def head(self) -> int:
        """The answer's status, as soon as it is there."""
        async with asyncio.timeout(5):
            return int((await self.client.reader.readuntil(b"\r\n\r\n")).split()[1])

    async def result(self) -> Any:
        """The next result; None at the end of the answer."""
        async with asyncio.timeout(5):
            while b"\n" not in self._unread:
                size = int(await self.client.reader.readline(), 16)
                self._unread += await self.client.reader.readexactly(size)
                await self.client.reader.readexactly(2)
                if not size:
                    return None
        line, _, self._unread = self._unread.partition(b"\n")
        return orjson.loads(line)

    async def ended(self) -> bool:
        """Whether the bridge has ended the connection."""
        async with asyncio.timeout(5):
            try:
                return await self.client.reader.read() == b""
            except ConnectionError:
                return True


async def until(true: Callable[[], bool]) -> None:
    """Wait until it is true. Raises TimeoutError after 5 s."""
    async with asyncio.timeout(5):
        while not true():
            await asyncio.sleep(0)
