"""Requests as bytes, and a keep-alive connection that asks one question at a time."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from httptools import HttpResponseParser


class WrongAnswer(Exception):
    """The server answered with something no figure can be made of."""


def request(method: str, target: str, body: bytes = b"", media: str = "application/json", **headers: str) -> bytes:
    """A complete HTTP/1.1 request. A header's name has `_` where HTTP has `-`."""
    lines = [f"{method} {target} HTTP/1.1", "Host: 127.0.0.1"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    if body:
        lines += [f"Content-Type: {media}", f"Content-Length: {len(body)}"]
    return "\r\n".join([*lines, "\r\n"]).encode() + body


@dataclass(slots=True)
class Answer:
    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)  # names in lower case
    body: bytes = b""


class Exchange(asyncio.Protocol):
    """`await ask(...)`: one request, then its whole answer. Not for two at once."""

    def __init__(self) -> None:
        self._parser = HttpResponseParser(self)
        self._waiting: asyncio.Future[Answer] | None = None
        self._answer = Answer()
        self._chunks: list[bytes] = []
        self._transport: asyncio.Transport | None = None

    @classmethod
    async def open(cls, port: int) -> "Exchange":
        """Raises OSError while nobody listens."""
        _, protocol = await asyncio.get_running_loop().create_connection(cls, "127.0.0.1", port)
        return protocol

    async def ask(self, data: bytes) -> Answer:
        """Raises ConnectionError when the server hangs up before its answer is complete."""
        if self._transport is None or self._transport.is_closing():
            raise ConnectionError("the server has closed the connection")
        self._waiting = asyncio.get_running_loop().create_future()
        self._transport.write(data)
        return await self._waiting

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()

    def connection_made(self, transport: Any) -> None:  # uvloop's is no subclass of asyncio.Transport
        self._transport = transport

    def connection_lost(self, exc: Exception | None) -> None:
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_exception(ConnectionError("the server hung up before its answer was complete"))

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    # ---- called by the parser

    def on_message_begin(self) -> None:
        self._answer, self._chunks = Answer(), []

    def on_header(self, name: bytes, value: bytes) -> None:
        self._answer.headers[name.decode().lower()] = value.decode()

    def on_body(self, chunk: bytes) -> None:
        self._chunks.append(chunk)

    def on_message_complete(self) -> None:
        self._answer.status = self._parser.get_status_code()
        self._answer.body = b"".join(self._chunks)
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_result(self._answer)


def next_page(headers: Mapping[str, str]) -> str | None:
    """The target of `Link: <target>; rel=next`, if there is one."""
    target, _, rest = headers.get("link", "").partition(">")
    return target.lstrip(" <") if "next" in rest else None
