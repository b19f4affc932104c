"""The floor under every Python answer: a raw ASGI endpoint that reads nothing and answers 204."""

from typing import Any

START = {"type": "http.response.start", "status": 204, "headers": []}
END = {"type": "http.response.body", "body": b""}


async def app(scope: Any, receive: Any, send: Any) -> None:
    await send(START)
    await send(END)
