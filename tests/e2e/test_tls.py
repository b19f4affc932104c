"""Listeners with TLS: who is let in, and how certificates change while the bridge runs. No Kafka is needed."""

import asyncio
import json
import os
import re
import socket
import ssl
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.bridge import Bridge, StartBridge
from tests.certificates import Authority, Pair


def config(public: Pair, admin: Pair | None = None, **more: str) -> str:
    said: dict[str, Any] = {
        "kafka": {"bootstrap_servers": "127.0.0.1:1"},
        "auth": "none",
        "secret": "a secret that only these tests know",
        "drain": {"delay_ms": 0},
        "observe": {"log_format": "json"},
        "server": {"tls": {"certificate": public.certificate.name, "key": public.key.name, **more}},
        "routes": [{"route": "POST /a", "produce": {"topic": "a"}}],
    }
    if admin is not None:
        said["admin"] = {"tls": {"certificate": admin.certificate.name, "key": admin.key.name}}
    return json.dumps(said)


def serial(port: int, authority: Authority, pair: Pair | None = None) -> str:
    """The serial number of the certificate that a new connection is shown. Raises ssl.SSLError."""
    with (
        socket.create_connection(("127.0.0.1", port), timeout=5) as plain,
        trusting(authority, pair).wrap_socket(plain, server_hostname="localhost") as sock,
    ):
        certificate = sock.getpeercert()
        assert certificate is not None
        return str(certificate["serialNumber"])


def trusting(authority: Authority, pair: Pair | None = None) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=str(authority.pem))
    if pair is not None:
        context.load_cert_chain(pair.certificate, pair.key)
    return context


@pytest.mark.parametrize("workers", [1, 2])
async def test_new_connections_are_shown_the_new_certificate_and_old_ones_go_on(
    bridge: StartBridge, tmp_path: Path, workers: int
) -> None:
    authority = Authority(tmp_path)
    running = await bridge(_absolute(config(authority.server("a"), authority.server("b")), tmp_path), workers=workers)
    before = serial(running.port, authority), serial(running.admin_port, authority)
    async with httpx.AsyncClient(base_url=running.base_url, verify=trusting(authority)) as client:
        assert (await client.get("/a")).status_code == 405
        authority.server("a"), authority.server("b")
        await _reload(running, authority)
        assert (await client.get("/a")).status_code == 405
    after = serial(running.port, authority), serial(running.admin_port, authority)
    assert before[0] != after[0]
    assert before[1] != after[1]
    assert await running.stop() == 0


@pytest.mark.parametrize("workers", [1, 2])
async def test_when_certificates_expire_is_told_as_new_connections_see_it(
    bridge: StartBridge, tmp_path: Path, workers: int
) -> None:
    authority = Authority(tmp_path)
    soon = datetime.now(UTC).replace(microsecond=0) + timedelta(days=2, hours=1)
    said = config(authority.server("a", expires=soon), authority.server("b"))
    running = await bridge(_absolute(said, tmp_path), workers=workers)
    before = await _expire(running, authority)
    assert before["server.tls"] == soon.timestamp()
    assert before["admin.tls"] > soon.timestamp()
    assert '"what":"expires in 2 days. Renew ' in running.log
    authority.server("a")
    assert await _expire(running, authority) == before
    await _reload(running, authority)
    assert (await _expire(running, authority))["server.tls"] > soon.timestamp()


async def test_a_file_that_has_become_unusable_changes_nothing(bridge: StartBridge, tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    pair = authority.server("a")
    running = await bridge(_absolute(config(pair), tmp_path))
    before = serial(running.port, authority)
    pair.key.write_text("no key")
    async with httpx.AsyncClient(base_url=running.admin_url) as admin:
        answer = await admin.post("/admin/reload")
    assert answer.status_code == 422
    assert "server.tls.certificate" in answer.json()["mistakes"][0]
    assert serial(running.port, authority) == before


async def test_a_client_without_its_certificate_is_not_let_in(bridge: StartBridge, tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    clients = Authority(tmp_path, "clients")
    said = config(authority.server("a"), client_ca=clients.pem.name, client_auth="required")
    running = await bridge(_absolute(said, tmp_path))
    known, stranger = clients.client("store-7"), authority.client("stranger")
    assert await _status(running, authority, known) == 405
    with pytest.raises(httpx.TransportError):
        await _status(running, authority, None)
    with pytest.raises(httpx.TransportError):
        await _status(running, authority, stranger)


async def test_plain_http_to_a_port_with_tls_is_ended_and_harms_nobody(bridge: StartBridge, tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    running = await bridge(_absolute(config(authority.server("a")), tmp_path))
    reader, writer = await asyncio.open_connection("127.0.0.1", running.port)
    writer.write(b"POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n")
    async with asyncio.timeout(5):
        assert b"HTTP/" not in await reader.read()
    writer.close()
    assert serial(running.port, authority)


async def test_a_refusal_of_a_body_that_still_comes_is_seen_through_tls_too(
    bridge: StartBridge, tmp_path: Path
) -> None:
    authority = Authority(tmp_path)
    running = await bridge(_absolute(config(authority.server("a")), tmp_path))
    context = trusting(authority)
    reader, writer = await asyncio.open_connection("127.0.0.1", running.port, ssl=context, server_hostname="localhost")
    writer.write(b"POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 9000000\r\n\r\n")
    with_more = asyncio.create_task(_go_on(writer))
    async with asyncio.timeout(10):
        assert (await reader.readuntil(b"\r\n")).startswith(b"HTTP/1.1 413")
    with_more.cancel()
    writer.transport.abort()


async def test_the_command_line_reaches_an_admin_side_with_tls(bridge: StartBridge, tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    running = await bridge(_absolute(config(authority.server("a"), authority.server("b")), tmp_path))
    asked = [sys.executable, "-m", "proxy", "routes", "--admin", running.admin_url]
    told = await _run(asked, STEPBRIDGE_ADMIN_CA=str(authority.pem))
    assert told.returncode == 0, told.stderr
    assert "post-a" in told.stdout
    alone = await _run(asked)
    assert alone.returncode == 1
    assert "STEPBRIDGE_ADMIN_CA" in alone.stderr


async def _run(command: list[str], **env: str) -> subprocess.CompletedProcess[str]:
    environ = {**os.environ, **env}
    return await asyncio.to_thread(subprocess.run, command, env=environ, capture_output=True, text=True, check=False)


async def _go_on(writer: asyncio.StreamWriter) -> None:
    for _ in range(100):
        writer.write(bytes(10_000))
        await writer.drain()


async def _status(running: Bridge, authority: Authority, pair: Pair | None) -> int:
    async with httpx.AsyncClient(base_url=running.base_url, verify=trusting(authority, pair)) as client:
        return (await client.get("/a")).status_code


async def _expire(running: Bridge, authority: Authority) -> dict[str, float]:
    """When, by section, as a scrape tells it."""
    async with httpx.AsyncClient(base_url=running.admin_url, verify=trusting(authority)) as admin:
        text = (await admin.get("/metrics")).text
    found = re.findall(
        r'^stepbridge_certificate_expires_timestamp_seconds\{section="(.+)"\} (\S+)$', text, re.MULTILINE
    )
    return {section: float(value) for section, value in found}


async def _reload(running: Bridge, authority: Authority) -> None:
    async with httpx.AsyncClient(base_url=running.admin_url, verify=trusting(authority)) as admin:
        answer = await admin.post("/admin/reload")
    assert answer.status_code == 200, answer.text


def _absolute(text: str, directory: Path) -> str:
    """The bridge's file lies elsewhere than the certificates do."""
    said = json.loads(text)
    for section in ("server", "admin"):
        tls = said.get(section, {}).get("tls", {})
        for key in tls.keys() & {"certificate", "key", "client_ca"}:
            tls[key] = str(directory / tls[key])
    return json.dumps(said)
