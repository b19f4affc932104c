"""The live page in a real browser: it shows what arrives, says when it lost its source, and breaks no policy."""

from pathlib import Path

import pytest
from aiohttp.test_utils import TestServer

from proxy.demo.figures import Figures
from proxy.demo.process import free_port
from proxy.demo.retail import ASSORTMENT, PRICES, READS, STOCK, STORES
from proxy.demo.stage import client_session
from proxy.demo.web import live_page
from tests.demo.browser import chromium
from tests.demo.scripted import ScriptedBridge

CELL = "document.querySelector('#shelves tbody tr:first-child td:nth-child(2)')"  # the first article in the first store
CONNECTION = "document.getElementById('connection').textContent"


@pytest.mark.needs("chromium")
async def test_the_page_shows_what_arrives_and_recovers_when_its_source_was_gone(tmp_path: Path) -> None:
    bridge, figures = ScriptedBridge(), Figures(READS)
    server = TestServer(bridge.app())
    await server.start_server()
    key = f"{STORES[0]}:{ASSORTMENT[0].sku}"
    state = {
        "stores": STORES,
        "articles": ASSORTMENT,
        "sellers": [("A-001", 5), ("A-002", 1)],
        "stock": {key: 20},
        "prices": {},
        "latest": [],
        "note": "a note",
    }
    async with (
        client_session(str(server.make_url("/"))) as http,
        live_page(http, lambda: {**figures.as_json(), **state}, port=free_port(0)) as address,
        chromium(tmp_path) as browser,
    ):
        await browser.open(address)
        await browser.until(f"{CONNECTION} === 'live'")
        assert await browser.ask(f"{CELL}.textContent") == "2012.90"  # pieces and price, from before it was opened
        assert await browser.ask("document.querySelectorAll('#shelves tbody tr').length") == len(ASSORTMENT)
        assert await browser.ask("document.querySelectorAll('#sellers li').length") == 2

        await bridge.append(STOCK, key, {"quantity": 3})
        await bridge.append(PRICES, key, {"price_cents": 1419})
        await browser.until(f"{CELL}.textContent === '314.19' && {CELL}.classList.contains('low')")
        assert await browser.ask("document.querySelectorAll('#events li').length") == 2
        assert browser.complaints == []

        bridge.cut()  # the browser comes back by itself, and says where it was
        await bridge.append(STOCK, key, {"quantity": 2})
        await browser.until(f"{CELL}.textContent === '214.19' && {CONNECTION} === 'live'")
        assert "Last-Event-ID" in bridge.headers[-1]

        bridge.away = True  # a request of its is refused: now it gives up, and the page goes on from where it was
        bridge.cut()
        await browser.until(f"{CONNECTION} === 'reconnecting'")
        await bridge.append(STOCK, key, {"quantity": 5})
        bridge.away = False
        await browser.until(f"{CELL}.textContent === '514.19' && {CONNECTION} === 'live'")

        bridge.gone = True  # its position is refused again and again: the page begins anew
        bridge.cut()
        await browser.until(f"{CONNECTION} === 'reconnecting'")
        await browser.until(f"{CONNECTION} === 'live'")
        await bridge.append(STOCK, key, {"quantity": 1})
        await browser.until(f"{CELL}.textContent === '114.19'")
        assert "Last-Event-ID" not in bridge.headers[-1]
    await server.close()
