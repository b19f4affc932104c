"""Streams as their clients read them: SSE through httpx-sse, NDJSON line by line."""

import json
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import httpx
from httpx_sse import EventSource, ServerSentEvent

SSE, NDJSON = "text/event-stream", "application/x-ndjson"
OpenStream = Callable[..., AbstractAsyncContextManager[AsyncIterator[Any]]]  # client, path, last event id


def resuming(last_event_id: str | None) -> dict[str, str]:
    return {"last-event-id": last_event_id} if last_event_id is not None else {}


@asynccontextmanager
async def sse(
    http: httpx.AsyncClient, path: str, last_event_id: str | None = None
) -> AsyncIterator[AsyncIterator[ServerSentEvent]]:
    """The events of a stream, as they come. Leaving it drops the connection."""
    async with http.stream("GET", path, headers={"accept": SSE, **resuming(last_event_id)}) as answer:
        if answer.status_code != 200:
            raise AssertionError((answer.status_code, await answer.aread()))
        yield (event async for event in EventSource(answer).aiter_sse() if event.data)  # as browsers dispatch them


@asynccontextmanager
async def ndjson(
    http: httpx.AsyncClient, path: str, last_event_id: str | None = None
) -> AsyncIterator[AsyncIterator[Any]]:
    """The records of a stream, as they come; heartbeats are passed over."""
    async with http.stream("GET", path, headers={"accept": NDJSON, **resuming(last_event_id)}) as answer:
        if answer.status_code != 200:
            raise AssertionError((answer.status_code, await answer.aread()))
        yield (json.loads(line) async for line in answer.aiter_lines() if line)


async def take(events: AsyncIterator[Any], count: int) -> list[Any]:
    """The next so many."""
    return [await anext(events) for _ in range(count)]


async def values(events: AsyncIterator[Any], count: int) -> list[Any]:
    """The values of the next so many records, of either kind of stream."""
    return [value_of(event) for event in await take(events, count)]


def record_of(event: Any) -> Any:
    """The record, of either kind of stream."""
    return json.loads(event.data) if isinstance(event, ServerSentEvent) else event


def value_of(event: Any) -> Any:
    return record_of(event)["value"]


def position_of(event: Any) -> str:
    """What a client sends as Last-Event-ID when it comes back."""
    return event.id if isinstance(event, ServerSentEvent) else event["position"]
