"""A headless Chromium, driven over its DevTools protocol: as much as the live page's test needs."""

import asyncio
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import count
from pathlib import Path
from typing import Any

import aiohttp

WITHIN_S = 20.0
FLAGS = ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--remote-debugging-port=0"]


class Browser:
    """One page. What its console says, refusals by the content policy included, is in `complaints`."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self.complaints: list[str] = []
        self._socket = socket
        self._numbers = count(1)

    async def open(self, url: str) -> None:
        for domain in ("Log", "Runtime", "Page"):
            await self._call(f"{domain}.enable")
        await self._call("Page.navigate", url=url)

    async def ask(self, expression: str) -> Any:
        """The value of a JavaScript expression in the page."""
        answer = await self._call("Runtime.evaluate", expression=expression, returnByValue=True)
        return answer["result"].get("value")

    async def until(self, expression: str) -> None:
        """Wait until it is true."""
        async with asyncio.timeout(WITHIN_S):
            while not await self.ask(expression):
                await asyncio.sleep(0.05)

    async def _call(self, method: str, **parameters: Any) -> dict[str, Any]:
        number = next(self._numbers)
        await self._socket.send_json({"id": number, "method": method, "params": parameters})
        while True:
            said = await self._socket.receive_json(timeout=WITHIN_S)
            if said.get("id") == number:
                return dict(said["result"])
            if said.get("method") in ("Log.entryAdded", "Runtime.exceptionThrown"):
                self.complaints.append(str(said["params"]))


@asynccontextmanager
async def chromium(directory: Path) -> AsyncIterator[Browser]:
    """`directory` is for its profile."""
    command = shutil.which("chromium") or shutil.which("chromium-browser") or "chromium"
    process = await asyncio.create_subprocess_exec(
        command, *FLAGS, f"--user-data-dir={directory}", "about:blank", stderr=asyncio.subprocess.PIPE
    )
    try:
        async with aiohttp.ClientSession() as http, http.ws_connect(await _page(http, process)) as socket:
            yield Browser(socket)
    finally:
        process.terminate()
        await process.communicate()


async def _page(http: aiohttp.ClientSession, process: asyncio.subprocess.Process) -> str:
    """The address of the page's socket; the browser says its own when it is up."""
    assert process.stderr is not None
    async with asyncio.timeout(WITHIN_S):
        while not (line := await process.stderr.readline()).startswith(b"DevTools listening on "):
            assert line, "Chromium ended"
    home = line.decode().split("ws://")[1].partition("/")[0]
    async with http.get(f"http://{home}/json") as answer:
        targets = await answer.json(content_type=None)
    return next(str(target["webSocketDebuggerUrl"]) for target in targets if target["type"] == "page")
