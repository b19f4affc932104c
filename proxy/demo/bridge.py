"""The bridge itself, started as an operator would: `stepbridge serve --config retail.yaml`, in a process of its own."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import aiohttp

from proxy.clock import Deadline
from proxy.demo.process import Child

START_TIMEOUT_S = 30.0
STOP_TIMEOUT_S = 15.0  # it drains: streams end, acks commit, groups are left
LOOK_EVERY_S = 0.1


@dataclass(frozen=True, slots=True)
class Bridge:
    url: str
    admin_url: str
    child: Child

    async def lasts(self) -> None:
        """Until it ends by itself, which it should not. Raises DemoFailed then."""
        status = await self.child.wait()
        raise self.child.failure(f"ended by itself with status {status}")


@asynccontextmanager
async def running_bridge(
    config: Path,
    *,
    bootstrap: str,
    port: int,
    admin_port: int,
    log: Path,
    say: Callable[[str], None],
    env: Mapping[str, str] | None = None,
) -> AsyncIterator[Bridge]:
    """A bridge that is ready; `env` is for its file. Raises DemoFailed, with the end of its log, if it is not."""
    flags = ("--config", str(config), "--port", str(port), "--admin-port", str(admin_port))
    environment = {"KAFKA_BOOTSTRAP_SERVERS": bootstrap, **(env or {})}
    child = await Child.start("bridge", "proxy", "serve", *flags, log=log, env=environment)
    bridge = Bridge(f"http://127.0.0.1:{port}", f"http://127.0.0.1:{admin_port}", child)
    try:
        await _wait_ready(bridge, say)
        yield bridge
    finally:
        if not child.ended:
            say("ending the bridge: it finishes what it has begun")
        await child.stop(timeout_s=STOP_TIMEOUT_S)


async def _wait_ready(bridge: Bridge, say: Callable[[str], None]) -> None:
    deadline = Deadline.after(START_TIMEOUT_S)
    shown = ""
    async with aiohttp.ClientSession() as http:
        while (state := await _readiness(http, bridge.admin_url)) != "ready":
            if bridge.child.ended:
                raise bridge.child.failure("ended before it was ready")
            if not deadline.remaining_s():
                raise bridge.child.failure(f"was not ready within {START_TIMEOUT_S:g} s (its last word: {state})")
            if state != shown:
                say(f"bridge: {state}")
                shown = state
            await asyncio.sleep(LOOK_EVERY_S)


async def _readiness(http: aiohttp.ClientSession, admin_url: str) -> str:
    try:
        async with http.get(f"{admin_url}/readyz") as answer:
            return "ready" if answer.status == 200 else f"not ready yet ({answer.status})"
    except aiohttp.ClientError:
        return "starting"
