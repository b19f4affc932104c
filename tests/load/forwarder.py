"""What a passthrough is measured against: the least that aiohttp needs to hand requests on and answers back.

One session, keep-alive, uvloop. It knows no timeouts but aiohttp's, no retries, no breaker, no metrics.
"""

import os
from collections.abc import AsyncIterator

import uvloop
from aiohttp import ClientSession, ClientTimeout, DummyCookieJar, TCPConnector, web
from multidict import CIMultiDict
from yarl import URL

TARGET = os.environ.get("BENCH_UPSTREAM", "http://127.0.0.1:1")
OF_THE_CONNECTION = ("connection", "keep-alive", "transfer-encoding", "te", "trailer", "upgrade")
SESSION: web.AppKey[ClientSession] = web.AppKey("session", ClientSession)


def _passed_on(headers: "CIMultiDict[str]") -> "CIMultiDict[str]":
    for name in OF_THE_CONNECTION:
        headers.popall(name, None)
    return headers


async def forward(request: web.Request) -> web.StreamResponse:
    async with request.app[SESSION].request(
        request.method,
        URL(TARGET + request.raw_path, encoded=True),
        headers=_passed_on(CIMultiDict(request.headers)),
        data=request.content if request.body_exists else None,
        allow_redirects=False,
    ) as answer:
        response = web.StreamResponse(status=answer.status, headers=_passed_on(CIMultiDict(answer.headers)))
        await response.prepare(request)
        async for piece in answer.content.iter_any():
            await response.write(piece)
        await response.write_eof()
        return response


async def _session(app: web.Application) -> AsyncIterator[None]:
    session = ClientSession(
        auto_decompress=False,
        cookie_jar=DummyCookieJar(),
        connector=TCPConnector(limit=0),
        timeout=ClientTimeout(total=None),
    )
    app[SESSION] = session
    yield
    await session.close()


def main() -> None:
    app = web.Application(client_max_size=1 << 30)
    app.router.add_route("*", "/{rest:.*}", forward)
    app.cleanup_ctx.append(_session)
    uvloop.install()
    web.run_app(app, host="127.0.0.1", port=int(os.environ["BENCH_PORT"]), access_log=None, print=None)


if __name__ == "__main__":
    main()
