"""The old service behind a route: keeps what it is sent, and answers as it is told to."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import NamedTuple

from aiohttp import web


class Sent(NamedTuple):
    """A request as it arrived."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes


class Legacy:
    """`says` are the statuses of the next answers, in order, else 200; 0 breaks the connection off."""

    def __init__(self) -> None:
        self.taken: list[Sent] = []
        self.says: deque[int] = deque()
        self.may = asyncio.Event()  # cleared, it does not answer
        self.may.set()
        self.url = ""

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        self.taken.append(Sent(request.method, request.raw_path, dict(request.headers), body))
        await self.may.wait()
        status = self.says.popleft() if self.says else 200
        if not status:
            assert request.transport is not None
            request.transport.abort()
        return web.json_response({"ok": status == 200, "by": "legacy"}, status=status or 500)


@asynccontextmanager
async def legacy_service() -> AsyncIterator[Legacy]:
    """On a free port, until the block ends."""
    legacy = Legacy()
    app = web.Application(client_max_size=1 << 26)
    app.router.add_route("*", "/{rest:.*}", legacy._answer)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        host, port = runner.addresses[0][:2]
        legacy.url = f"http://{host}:{port}"
        yield legacy
    finally:
        await runner.cleanup()
