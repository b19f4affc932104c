"""A request over a Unix socket, to servers that behave and servers that do not."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from proxy.workers.forward import ask

HEADERS = [(b"host", b"bridge:9090"), (b"accept", b"*/*"), (b"content-length", b"999"), (b"connection", b"keep-alive")]


@asynccontextmanager
async def answering(path: Path, answer: bytes) -> AsyncIterator[list[bytes]]:
    """A server that says `answer` to every request and hangs up; the requests it has read."""
    read: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        length = int(head.partition(b"content-length: ")[2].partition(b"\r")[0])
        read.append(head + await reader.readexactly(length))
        writer.write(answer)
        writer.close()

    async with await asyncio.start_unix_server(serve, path):
        yield read


async def test_the_request_arrives_as_it_was_and_the_answer_too(tmp_path: Path) -> None:
    path = tmp_path / "a.sock"
    said = b"HTTP/1.1 207 Multi\r\nX-A: 1\r\nX-A: 2\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"
    async with answering(path, said) as read:
        answer = await ask(str(path), "POST", b"/x?y=1", HEADERS, b"body")
    assert (answer.status, bytes(answer.body)) == (207, b"abc")
    assert answer.headers == [(b"X-A", b"1"), (b"X-A", b"2")]
    (request,) = read
    head, _, body = request.partition(b"\r\n\r\n")
    assert body == b"body"
    assert head.split(b"\r\n") == [
        b"POST /x?y=1 HTTP/1.1",
        b"host: bridge:9090",
        b"accept: */*",
        b"content-length: 4",
        b"connection: close",
    ]


async def test_an_answer_to_head_has_a_length_and_no_body(tmp_path: Path) -> None:
    path = tmp_path / "a.sock"
    async with answering(path, b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"):
        answer = await ask(str(path), "HEAD", b"/", HEADERS)
    assert (answer.status, bytes(answer.body)) == (200, b"")


@pytest.mark.parametrize(
    "said",
    [b"", b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nabc", b"HTTP/1.1 200 OK\r\nConte", b"no HTTP at all\r\n"],
)
async def test_half_an_answer_is_none(tmp_path: Path, said: bytes) -> None:
    path = tmp_path / "a.sock"
    async with answering(path, said):
        with pytest.raises(OSError, match=r"the answer (broke off|is no HTTP)"):
            await ask(str(path), "GET", b"/", HEADERS)


async def test_where_nobody_listens_is_an_os_error(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="No such file"):
        await ask(str(tmp_path / "none.sock"), "GET", b"/", HEADERS)
