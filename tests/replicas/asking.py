"""One request on a connection of its own, so that any worker may have it; and streams, event by event."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import orjson

from tests.load.loader.http1 import Answer, Exchange, request

NOT_SENT = Answer(status=0)  # nobody listens
UNANSWERED = Answer(status=-1)  # the connection ended, or the time


async def ask(port: int, data: bytes, within_s: float) -> Answer:
    """The answer, or one of the two above."""
    try:
        exchange = await Exchange.open(port)
    except OSError:
        return NOT_SENT
    try:
        async with asyncio.timeout(within_s):
            return await exchange.ask(data)
    except (TimeoutError, ConnectionError):
        return UNANSWERED
    finally:
        exchange.close()


class Events(Exchange):
    """A stream of server-sent events. `came` is told of records as they come, `next` gives them once again."""

    def __init__(self, came: Callable[[list[dict[str, Any]]], None]) -> None:
        super().__init__()
        self._tell = came
        self._rest = b""
        self._came: asyncio.Queue[list[dict[str, Any]] | None] = asyncio.Queue()
        self.last_id = ""

    async def begin(self, target: str, last_id: str = "") -> None:
        """Ask for it; what it is answered is seen by what comes."""
        headers = {"Accept": "text/event-stream", **({"Last_Event_ID": last_id} if last_id else {})}
        assert self._transport is not None
        self._transport.write(request("GET", target, b"", "", **headers))

    async def next(self, within_s: float) -> list[dict[str, Any]] | None:
        """The records that have come since; none in that time; None: the stream has ended."""
        found: list[dict[str, Any]] = []
        with suppress(TimeoutError):
            async with asyncio.timeout(within_s):
                while not found or not self._came.empty():
                    if (some := await self._came.get()) is None:
                        self._came.put_nowait(None)  # to be found again
                        return found or None
                    found += some
        return found

    @property
    def status(self) -> int:
        return self._parser.get_status_code()

    def on_body(self, chunk: bytes) -> None:
        *events, self._rest = (self._rest + chunk).split(b"\n\n")
        if found := [record for event in events if (record := self._record(event)) is not None]:
            self._tell(found)
            self._came.put_nowait(found)

    def _record(self, event: bytes) -> dict[str, Any] | None:
        fields = dict(line.partition(b": ")[::2] for line in event.split(b"\n"))
        if b"id" in fields:
            self.last_id = fields[b"id"].decode()
        is_record = b"data" in fields and b"event" not in fields
        return orjson.loads(fields[b"data"]) if is_record else None

    def on_message_complete(self) -> None:
        self._came.put_nowait(None)

    def connection_lost(self, exc: Exception | None) -> None:
        self._came.put_nowait(None)
