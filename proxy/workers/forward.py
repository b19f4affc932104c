"""One HTTP request to a server on a Unix socket."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field

import httptools

Headers = Sequence[tuple[bytes, bytes]]

_OURS = frozenset({b"connection", b"content-length", b"transfer-encoding"})
_READ_BYTES = 65_536


@dataclass(slots=True)
class Answer:
    """What the server said; `is_whole` once all of it is there. (The methods are httptools' callbacks.)"""

    status: int = 0
    headers: list[tuple[bytes, bytes]] = field(default_factory=list)
    body: bytearray = field(default_factory=bytearray)
    is_whole: bool = False

    def on_header(self, name: bytes, value: bytes) -> None:
        if name.lower() not in _OURS:
            self.headers.append((name, value))

    def on_body(self, data: bytes) -> None:
        self.body += data

    def on_message_complete(self) -> None:
        self.is_whole = True


async def ask(path: str, method: str, target: bytes, headers: Headers, body: bytes = b"") -> Answer:
    """Send the request to the socket at `path`, and read the answer. Raises OSError if there is none."""
    reader, writer = await asyncio.open_unix_connection(path)
    try:
        writer.write(_request(method, target, headers, body))
        answer = Answer()
        parser = httptools.HttpResponseParser(answer)
        while data := await reader.read(_READ_BYTES):
            parser.feed_data(data)
    except httptools.HttpParserError as exc:
        raise ConnectionError(f"the answer is no HTTP: {exc}") from exc
    finally:
        writer.close()
    if not answer.is_whole and method != "HEAD":
        raise ConnectionError("the answer broke off")
    answer.status = parser.get_status_code()
    return answer


def _request(method: str, target: bytes, headers: Headers, body: bytes) -> bytes:
    lines = [b"%s %s HTTP/1.1" % (method.encode(), target)]
    lines += [b"%s: %s" % header for header in headers if header[0] not in _OURS]
    lines += [b"content-length: %d" % len(body), b"connection: close", b"", body]
    return b"\r\n".join(lines)
