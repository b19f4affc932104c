"""Upstreams behind TLS: whom the bridge trusts, and what it shows."""

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import trustme

from proxy.config.upstreams import UpstreamService
from proxy.errors import UpstreamAway
from proxy.observe.metrics import UpstreamMetrics
from proxy.seams.upstream import UpstreamRequest
from proxy.upstream.service import Service
from proxy.upstream.upstreams import Upstreams
from tests.unit.upstream.test_service import read

OURS, OTHERS = trustme.CA(), trustme.CA()


@contextlib.asynccontextmanager
async def https(name: str, *, wants_client: bool = False) -> AsyncIterator[str]:
    """The URL of a service with a certificate of ours for that name; it answers with the names its client shows."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                await reader.readuntil(b"\r\n\r\n")
                shown: Any = writer.get_extra_info("peercert") or {}
                names = ",".join(value for _, value in shown.get("subjectAltName", ())).encode()
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(names) + names)
        writer.close()

    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    OURS.issue_cert(name).configure_cert(context)
    if wants_client:
        OURS.configure_trust(context)
        context.verify_mode = ssl.CERT_REQUIRED
    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)
    try:
        yield f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()


async def ask(url: str, **tls: str) -> str:
    config = UpstreamService.model_validate({"url": url, "tls": tls or None, "retries": 0})
    service = Service("old", config, UpstreamMetrics())
    try:
        first = await read(service, UpstreamRequest("GET", b"/", []))
        assert await read(service, UpstreamRequest("GET", b"/", [])) == first  # on the same connection
        return first.decode()
    except UpstreamAway:
        raise AssertionError(service.addresses[0].trouble) from None
    finally:
        await service.close()
        await asyncio.sleep(0.01)


async def shown(service: Service) -> str:
    """The names that the service was shown on a new connection."""
    return (await read(service, UpstreamRequest("GET", b"/", []))).decode()


def ours_for(name: str, directory: Path) -> dict[str, str]:
    """Files of a client of that name; the same ones each time."""
    mine = OURS.issue_cert(name)
    certificate, key = directory / "cert.pem", directory / "key.pem"
    mine.private_key_pem.write_to_path(key)
    certificate.write_bytes(b"".join(pem.bytes() for pem in mine.cert_chain_pems))
    return {"certificate": str(certificate), "key": str(key)}


def spoil(key: str) -> None:
    Path(key).write_text("no key")


@pytest.fixture
def ca(tmp_path: Path) -> str:
    OURS.cert_pem.write_to_path(tmp_path / "ca.pem")
    return str(tmp_path / "ca.pem")


async def test_a_service_that_an_authority_of_the_file_vouches_for_is_trusted(ca: str) -> None:
    async with https("127.0.0.1") as url:
        assert await ask(url, ca=ca) == ""


async def test_a_service_is_called_by_the_name_that_the_file_says(ca: str) -> None:
    async with https("legacy.internal") as url:
        assert await ask(url, ca=ca, server_name="legacy.internal") == ""


async def test_a_service_with_anothers_name_is_not_spoken_to(ca: str) -> None:
    async with https("evil.internal") as url:
        with pytest.raises(AssertionError, match=r"(?i)not valid for|mismatch"):
            await ask(url, ca=ca)


async def test_a_service_that_nobody_vouches_for_is_not_spoken_to(tmp_path: Path) -> None:
    OTHERS.cert_pem.write_to_path(tmp_path / "others.pem")
    async with https("127.0.0.1") as url:
        with pytest.raises(AssertionError, match=r"(?i)certificate verify failed"):
            await ask(url, ca=str(tmp_path / "others.pem"))


async def test_the_bridge_shows_its_own_certificate(ca: str, tmp_path: Path) -> None:
    async with https("127.0.0.1", wants_client=True) as url:
        assert await ask(url, ca=ca, **ours_for("bridge.internal", tmp_path)) == "bridge.internal"


async def test_a_reload_shows_what_the_files_hold_now_on_new_connections(ca: str, tmp_path: Path) -> None:
    async with https("127.0.0.1", wants_client=True) as url:
        files = {"ca": ca, **ours_for("before.internal", tmp_path)}
        config = UpstreamService.model_validate({"url": url, "tls": files, "keep_alive_ms": 0, "retries": 0})
        async with Upstreams(lambda _: UpstreamMetrics()) as upstreams:
            upstreams.follow({"old": config})
            service = upstreams["old"]
            assert await shown(service) == "before.internal"
            ours_for("after.internal", tmp_path)
            assert await shown(service) == "before.internal"
            upstreams.follow({"old": config})
            assert upstreams["old"] is service
            assert await shown(service) == "after.internal"
            spoil(files["key"])
            upstreams.follow({"old": config})
            assert await shown(service) == "after.internal"
