"""The one place that turns a ProxyError into an answer: RFC 9457 `application/problem+json`."""

from collections.abc import Iterable, Sequence
from typing import Any

import orjson

from proxy.errors import ProxyError

Answer = tuple[int, list[tuple[bytes, bytes]], bytes]  # status, headers, body


def problem_answer(error: ProxyError, request_id: str) -> Answer:
    """Status, headers (with Content-Length, and Retry-After where the error names it) and body."""
    body = orjson.dumps(problem(error, request_id))
    headers = [
        (b"content-type", b"application/problem+json"),
        (b"content-length", b"%d" % len(body)),
        (b"cache-control", b"no-store"),
        *error.headers,
    ]
    if error.retry_after_s is not None:
        headers.append((b"retry-after", b"%d" % error.retry_after_s))
    return error.status, headers, body


def problem(error: ProxyError, request_id: str) -> dict[str, Any]:
    """The problem document. `type` stays `about:blank`: `code` is what programs switch on."""
    document: dict[str, Any] = {
        "type": "about:blank",
        "title": error.title,
        "status": error.status,
        "code": error.code,
        "detail": error.told,
    }
    if request_id:
        document["request_id"] = request_id
    if error.errors:
        document["errors"] = list(error.errors)
    return document | dict(error.extra)


def render(status_line: bytes, headers: Sequence[tuple[bytes, bytes]], body: bytes) -> bytes:
    """A whole answer as bytes, for where there is no request to answer through."""
    return b"".join((status_line, *_lines(headers), b"\r\n", body))


def _lines(headers: Iterable[tuple[bytes, bytes]]) -> Iterable[bytes]:
    for name, value in headers:
        yield from (name, b": ", value, b"\r\n")
