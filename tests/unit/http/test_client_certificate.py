"""Whom the endpoints are told a connection's client is."""

import asyncio
import ssl
from pathlib import Path
from typing import Any

import pytest

from proxy.config.tls import ListenerTls
from proxy.http.exchange import Exchange
from proxy.http.protocol import Policy
from proxy.server import Server, listen, tls_context
from proxy.tls import ClientCertificate
from tests.certificates import Authority


@pytest.mark.parametrize("shown", [True, False])
async def test_an_exchange_knows_the_verified_certificate_of_its_connection(tmp_path: Path, shown: bool) -> None:
    authority, seen = Authority(tmp_path), list[ClientCertificate | None]()
    pair, client = authority.server(), authority.client("store-7")

    async def app(scope: Any, receive: Any, send: Any) -> None:
        exchange = Exchange(scope, receive, send)
        seen.append(exchange.connection.client_certificate)
        await exchange.answer(200, [(b"content-length", b"0")], b"")

    tls = ListenerTls(
        certificate=str(pair.certificate), key=str(pair.key), client_ca=str(authority.pem), client_auth="optional"
    )
    server, sock = Server(app, Policy(), tls_context(tls)), listen("127.0.0.1", 0)
    task = asyncio.create_task(server.serve([sock]))
    await server.serving()
    context = ssl.create_default_context(cafile=str(authority.pem))
    if shown:
        context.load_cert_chain(client.certificate, client.key)
    port = sock.getsockname()[1]
    reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context, server_hostname="localhost")
    for _ in range(2):  # the second on the same connection
        writer.write(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200")
    writer.close()
    server.should_exit = True
    await task
    assert [certificate and certificate.common_name for certificate in seen] == ["store-7" if shown else None] * 2
