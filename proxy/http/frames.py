"""How a record looks on a stream: pure bytes, no I/O.

SSE: https://html.spec.whatwg.org/multipage/server-sent-events.html. Whatever goes into a frame holds no CR or LF
(`consume/envelope.py` sees to that), so that no field ends early.

What is no record ends without a blank line: a blank line dispatches, and simple clients take what it dispatches for an
event even if it is empty.
"""

from proxy.http.consume import SSE

SSE_HEARTBEAT = b":\n"
NDJSON_HEARTBEAT = b"\n"


def sse(data: bytes, position: str) -> bytes:
    """One event: its `id` is what the client sends back as Last-Event-ID."""
    return b"id: %b\ndata: %b\n\n" % (position.encode(), data)


def sse_id(position: str) -> bytes:
    """Where the stream begins, for a client that reads the line and loses the stream before its first event."""
    return b"id: %b\n" % position.encode()


def sse_retry(retry_ms: int) -> bytes:
    """After how long the client comes back when it has lost the stream."""
    return b"retry: %d\n" % retry_ms


def sse_named(name: str, data: bytes, position: str | None = None) -> bytes:
    """An event with a name of its own. Without a position the client's last id stays as it is."""
    id_line = sse_id(position) if position is not None else b""
    return b"event: %b\n%bdata: %b\n\n" % (name.encode(), id_line, data)


def ndjson(data: bytes) -> bytes:
    return data + b"\n"


def event(media: str, data: bytes, position: str, *, is_bare: bool) -> bytes:
    """One record in a stream of that media type. NDJSON has its position as a member, unless it is the bare value."""
    if media == SSE:
        return sse(data, position)
    return ndjson(data if is_bare else with_members(data, position=position))


def with_members(envelope: bytes, **members: str) -> bytes:
    """A record's JSON object with further members (tokens: they need no escapes)."""
    more = b"".join([b',"%b":"%b"' % (name.encode(), value.encode()) for name, value in members.items()])
    return envelope[:-1] + more + b"}"
