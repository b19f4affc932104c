"""The live page: a few static files, the figures as JSON, and the bridge's event stream relayed from the same origin.

The browser follows the stream with its own EventSource; the relay passes `Last-Event-ID`, or `?position=`, on, so
a page that was away for a while sees what it missed.
"""

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from importlib.resources import files
from typing import Any

import aiohttp
import orjson
from aiohttp import web

from proxy.demo.clients.dashboard import PATH

FILES = {
    "/": ("index.html", "text/html"),
    "/page.js": ("page.js", "text/javascript"),
    "/page.css": ("page.css", "text/css"),
    "/icon.svg": ("icon.svg", "image/svg+xml"),
}
HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}
SHUTDOWN_S = 1.0  # an open relay is cut: the browser's EventSource takes that for what it is

State = Callable[[], Mapping[str, Any]]


@asynccontextmanager
async def live_page(bridge: aiohttp.ClientSession, state: State, *, port: int) -> AsyncIterator[str]:
    """Serve the page on loopback; its address."""
    runner = web.AppRunner(make_app(bridge, state), access_log=None, shutdown_timeout=SHUTDOWN_S)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", port).start()
        yield f"http://127.0.0.1:{port}/"
    finally:
        await runner.cleanup()


def make_app(bridge: aiohttp.ClientSession, state: State) -> web.Application:
    """`bridge` has the bridge's address as its base; `state` is asked anew for each /state.json."""

    async def figures(_request: web.Request) -> web.Response:
        return web.Response(body=orjson.dumps(state()), content_type="application/json")

    async def events(request: web.Request) -> web.StreamResponse:
        return await _relay(bridge, request)

    app = web.Application()
    app.on_response_prepare.append(_add_headers)
    app.router.add_get("/state.json", figures)
    app.router.add_get("/events", events)
    for path, (name, media_type) in FILES.items():
        app.router.add_get(path, _static(name, media_type))
    return app


def _static(name: str, media_type: str) -> Callable[[web.Request], Any]:
    content = files("proxy.demo").joinpath("page", name).read_bytes()

    async def serve(_request: web.Request) -> web.Response:
        return web.Response(body=content, content_type=media_type, charset="utf-8")

    return serve


async def _add_headers(_request: web.Request, answer: web.StreamResponse) -> None:
    answer.headers.update(HEADERS)


async def _relay(bridge: aiohttp.ClientSession, request: web.Request) -> web.StreamResponse:
    headers = {"Accept": "text/event-stream"}
    if last_id := request.headers.get("Last-Event-ID") or request.query.get("position"):
        headers["Last-Event-ID"] = last_id
    try:
        source = await bridge.get(PATH, headers=headers)
    except (aiohttp.ClientError, TimeoutError) as error:
        raise web.HTTPServiceUnavailable(text=f"the bridge cannot be reached: {error}") from error
    async with source:
        answer = web.StreamResponse(status=source.status, headers={"Content-Type": source.content_type})
        with suppress(ConnectionError, aiohttp.ClientError, TimeoutError):  # either side has gone: so has the stream
            await answer.prepare(request)
            async for chunk in source.content.iter_any():
                await answer.write(chunk)
        return answer
