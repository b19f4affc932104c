"""A document that somebody is asked for over HTTP: whole, bounded, JSON."""

from typing import Any

import aiohttp
import orjson


class NoDocument(Exception):
    """It could not be had. The message says why, for the operator: nothing that was sent is in it."""


async def body_of(answer: aiohttp.ClientResponse, url: str, *, limit_bytes: int) -> bytes:
    """The body of a 200. `url` is for the message. Raises NoDocument, and what aiohttp does."""
    if answer.status != 200:
        raise NoDocument(f"{url} answered {answer.status}")
    body = bytearray()
    async for piece in answer.content.iter_any():
        body += piece
        if len(body) > limit_bytes:
            raise NoDocument(f"{url} answered more than {limit_bytes} bytes")
    return bytes(body)


def document(body: bytes) -> dict[str, Any]:
    """The JSON object it is. Raises NoDocument."""
    try:
        found = orjson.loads(body)
    except orjson.JSONDecodeError:
        found = None
    if not isinstance(found, dict):
        raise NoDocument("what it answered is not a JSON object")
    return found
