"""Commands as they are typed."""

import asyncio
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import NamedTuple

import httpx
import pytest

from proxy.admin.app import admin_app
from proxy.cli import main
from tests.unit.admin.scripted import ScriptedOperations


class Ended(NamedTuple):
    """How a command ended, and what it said."""

    code: int
    out: str
    err: str


Run = Callable[..., Ended]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    """`run("check", "--config", path)` in this process; its output is no terminal."""

    def typed(*words: object) -> Ended:
        with pytest.raises(SystemExit) as ended:
            main([str(word) for word in words])
        assert isinstance(ended.value.code, int)
        return Ended(ended.value.code, *capsys.readouterr())

    return typed


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """Output as on a terminal of 80 columns."""
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.delenv("NO_COLOR", raising=False)


@pytest.fixture
def operations() -> ScriptedOperations:
    """A bridge with one route that writes and one that reads for a group."""
    return ScriptedOperations()


@pytest.fixture
def admin(operations: ScriptedOperations) -> Iterator[str]:
    """The address of its admin side."""

    async def asked(method: str, path: str) -> httpx.Response:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(admin_app(operations))) as client:
            return await client.request(method, f"http://admin{path}")

    def answer(method: str, path: str) -> tuple[int, bytes]:
        answered = asyncio.run(asked(method, path))
        return answered.status_code, answered.content

    with served(answer) as url:
        yield url


@contextmanager
def served(answer: Callable[[str, str], tuple[int, bytes]]) -> Iterator[str]:
    """An HTTP server on loopback that answers with (status, body) to (method, path)."""

    class Front(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, body = answer(self.command, self.path)
            self.send_response(status)
            self.end_headers()
            self.wfile.write(body)

        do_POST = do_GET  # noqa: N815

        def log_message(self, *_: object) -> None: ...

    with ThreadingHTTPServer(("127.0.0.1", 0), Front) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


def rows(out: str) -> list[list[str]]:
    """The columns of each line as a pipe gets them."""
    return [re.split(r" {2,}", line) for line in out.splitlines()]
