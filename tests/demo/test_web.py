"""The live page: its files, its figures, and the relay of the bridge's stream."""

import asyncio
import re
from collections.abc import AsyncIterator
from importlib.resources import files

import aiohttp
import pytest
from aiohttp.test_utils import TestServer

from proxy.demo.process import free_port
from proxy.demo.retail import STOCK
from proxy.demo.stage import client_session
from proxy.demo.web import FILES, live_page
from tests.demo.scripted import ScriptedBridge

WITHIN_S = 5.0


@pytest.fixture
async def bridge() -> ScriptedBridge:
    return ScriptedBridge()


@pytest.fixture
async def page(bridge: ScriptedBridge) -> AsyncIterator[aiohttp.ClientSession]:
    """A browser, so to speak, with the page's address as its base."""
    server = TestServer(bridge.app())
    await server.start_server()
    async with (
        client_session(str(server.make_url("/"))) as http,
        live_page(http, lambda: {"stores": ["berlin"]}, port=free_port(0)) as address,
        client_session(address) as browser,
    ):
        yield browser
    await server.close()


@pytest.mark.parametrize("path", [*FILES, "/state.json"])
async def test_everything_is_served_under_a_policy_that_allows_nothing_from_elsewhere(
    page: aiohttp.ClientSession, path: str
) -> None:
    async with page.get(path) as answer:
        assert answer.status == 200
        policy = answer.headers["Content-Security-Policy"]
        assert policy.startswith("default-src 'none'; script-src 'self';")
        assert "unsafe" not in policy
        assert answer.headers["X-Content-Type-Options"] == "nosniff"


async def test_the_page_asks_for_nothing_that_is_not_served(page: aiohttp.ClientSession) -> None:
    async with page.get("/") as answer:
        html = await answer.text()
    named = set(re.findall(r'(?:src|href)="([^"]+)"', html))
    assert named == {"/icon.svg", "/page.css", "/page.js"} <= FILES.keys()
    assert not re.search(r"<script>|<style|style=|onload=", html)  # the policy would refuse them


async def test_the_script_finds_every_element_it_looks_for() -> None:
    source = files("proxy.demo").joinpath("page")
    looked_for = set(re.findall(r'\bat\("(\w+)"\)', source.joinpath("page.js").read_text()))
    assert looked_for
    assert looked_for <= set(re.findall(r'id="(\w+)"', source.joinpath("index.html").read_text()))


async def test_the_figures_are_those_of_now(page: aiohttp.ClientSession) -> None:
    async with page.get("/state.json") as answer:
        assert await answer.json() == {"stores": ["berlin"]}


async def test_events_are_relayed_and_a_browser_that_comes_back_resumes(
    bridge: ScriptedBridge, page: aiohttp.ClientSession
) -> None:
    async with page.get("/events") as answer:
        assert answer.content_type == "text/event-stream"
        await bridge.append(STOCK, "berlin:A-001", {"quantity": 1})
        async with asyncio.timeout(WITHIN_S):
            while not (line := await answer.content.readline()).startswith(b"id: "):
                pass
    await bridge.append(STOCK, "berlin:A-001", {"quantity": 2})
    async with page.get("/events", headers={"Last-Event-ID": line[4:].decode().strip()}) as answer:
        async with asyncio.timeout(WITHIN_S):
            while not (line := await answer.content.readline()).startswith(b"data: "):
                pass
    assert b'"quantity":2' in line


async def test_a_bridge_that_cannot_be_reached_is_503_and_says_so() -> None:
    async with (
        client_session(f"http://127.0.0.1:{free_port(0)}") as nobody,
        live_page(nobody, dict, port=free_port(0)) as address,
        client_session(address) as browser,
        browser.get("/events") as answer,
    ):
        assert answer.status == 503
        assert "the bridge cannot be reached" in await answer.text()
