"""A POST that knows what its answer means: written, not written, or unknown."""

import asyncio
from collections.abc import Mapping
from itertools import count
from typing import Any

import aiohttp
import orjson

from proxy.demo.watch import Outcome, Watch


class Sender:
    """POSTs the events of one run, each under an id of its own (`event_id`, in the body)."""

    def __init__(self, http: aiohttp.ClientSession, watch: Watch, *, run: str) -> None:
        self._http = http
        self._watch = watch
        self._ids = (f"{run}{number}" for number in count(1))

    async def post(self, path: str, topic: str, key: str, **body: Any) -> Outcome:
        """POST one event, and once more if the bridge says "not now". Returns what became of it; raises nothing.

        A 503 means that nothing was written, so a repeat is safe. A 504, or a connection that broke, means that it
        may have been written: a repeat might be a second event, so there is none.
        """
        event = {"event_id": next(self._ids), **body}
        self._watch.posting(topic, key, event)
        outcome, detail, again_after_s = await _try(self._http, path, event)
        if again_after_s is not None:
            await asyncio.sleep(again_after_s)
            outcome, detail, _ = await _try(self._http, path, event)
        self._watch.posted(event["event_id"], outcome, detail)
        return outcome


async def _try(http: aiohttp.ClientSession, path: str, body: Mapping[str, Any]) -> tuple[Outcome, str, float | None]:
    """One attempt: what became of the event, why, and after how many seconds to try again, if at all."""
    try:
        async with http.post(path, json=body) as answer:
            if answer.status < 300:
                return Outcome.WRITTEN, "", None
            detail = await why(answer)
            if answer.status == 503:
                return Outcome.REFUSED, detail, retry_after_s(answer, otherwise_s=1.0)
            return (Outcome.REFUSED if answer.status < 500 else Outcome.UNKNOWN), detail, None
    except (aiohttp.ClientError, TimeoutError) as error:
        return Outcome.UNKNOWN, f"{type(error).__name__}: {error}", None


def retry_after_s(answer: aiohttp.ClientResponse, *, otherwise_s: float) -> float:
    """What `Retry-After` asks for, in seconds."""
    value = answer.headers.get("Retry-After", "")
    return float(value) if value.isascii() and value.isdigit() else otherwise_s


async def why(answer: aiohttp.ClientResponse) -> str:
    """A refusal in a line: the stable code and the sentence for people of its problem document (RFC 9457)."""
    text = await answer.text()
    try:
        problem = orjson.loads(text)
        return f"{answer.status} {problem['code']}: {problem['detail']}"
    except (ValueError, LookupError, TypeError):
        return f"{answer.status} {text[:200]}"
