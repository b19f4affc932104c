"""The floor under every Python stream: bare uvicorn that sends ready-made bytes to all who listen.

GET anything listens; POST /publish sends its body to everyone. There is no Kafka, no position, no bound.
"""

import asyncio
from typing import Any

HEAD = {"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/event-stream")]}
ACCEPTED = {"type": "http.response.start", "status": 204, "headers": []}


class Piece:
    """What is published next, once it is there."""

    def __init__(self) -> None:
        self.ready = asyncio.Event()
        self.message: dict[str, Any] = {}
        self.next: Piece | None = None

    def fill(self, body: bytes) -> "Piece":
        self.message = {"type": "http.response.body", "body": body, "more_body": True}
        self.next = Piece()
        self.ready.set()
        return self.next


newest: list[Piece] = []


async def app(scope: Any, receive: Any, send: Any) -> None:
    if not newest:
        newest.append(Piece())
    if scope["method"] == "GET":
        await _listen(send)
        return
    if scope["path"] == "/publish":
        body, more = b"", True
        while more:
            message = await receive()
            body, more = body + message["body"], message.get("more_body", False)
        newest[0] = newest[0].fill(body)
    await send(ACCEPTED)
    await send({"type": "http.response.body", "body": b""})


async def _listen(send: Any) -> None:
    await send(HEAD)
    await send({"type": "http.response.body", "body": b":\n", "more_body": True})
    piece: Piece | None = newest[0]
    while piece is not None:
        await piece.ready.wait()
        await send(piece.message)
        piece = piece.next
