"""The walk-through, played: an old service, a bridge in front of it, stores that never stop, and the ladder."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import aiohttp
from rich.console import Console
from rich.table import Table

from proxy.demo.bridge import Bridge, running_bridge
from proxy.demo.migration.ladder import DOWN, UP, Ladder
from proxy.demo.migration.stores import Stores
from proxy.demo.migration.verdict import Movements, failures
from proxy.demo.process import Child, DemoFailed, free_port
from proxy.demo.stage import Options, Say, broker, client_session
from proxy.shipped import shipped

TOPIC = "retail.stock-movements"
INTERNAL = ("_stepbridge.migrations", "_stepbridge.divergences")
RUNG_S = 1.5  # how long the stores go on at each
WITHIN_S = 15.0
START_TIMEOUT_S = 10.0  # of the old service


async def walk(options: Options, console: Console) -> int:
    """Climb, descend, judge, print. Returns 0 if nobody noticed and nothing is missing. Raises DemoFailed."""

    def say(text: str) -> None:
        console.print(text, markup=False, highlight=False, soft_wrap=True)

    async with AsyncExitStack() as stack:
        bridge, legacy_url = await stack.enter_async_context(_scene(options, say))
        http, admin, legacy = [
            await stack.enter_async_context(client_session(url)) for url in (bridge.url, bridge.admin_url, legacy_url)
        ]
        stores, rows = Stores(http), list[tuple[str, ...]]()
        await _climb_and_descend(Ladder(admin, say), stores, rows, say)
        kafka = await _in_kafka(http, sum(count for stage, count in stores.stages.items() if stage != "legacy"))
        found = failures(stores.accepted, stores.errors, kafka, await _in_legacy(legacy))
    console.print(_table(rows))
    stages = ", ".join(f"{count} at {stage}" for stage, count in stores.stages.items())
    say(f"{len(stores.accepted)} movements were accepted ({stages}); {len(kafka)} are in Kafka")
    for each in found:
        console.print(each, markup=False, highlight=False, soft_wrap=True, style="red")
    say("No client saw an error, and both sides have what they should." if not found else "The walk-through FAILED.")
    return 1 if found else 0


async def _climb_and_descend(ladder: Ladder, stores: Stores, rows: list[tuple[str, ...]], say: Say) -> None:
    await ladder.known()
    working = asyncio.create_task(stores.never_stop())
    try:
        await _stay(ladder, stores, rows, "legacy", say)
        for rung in UP:
            await ladder.climb(rung)
            await _stay(ladder, stores, rows, rung.shown, say)
        unseen = await ladder.descent_is_refused()
        say(f"a descent is refused: the old service has not seen {unseen} records. They are replayed to it now")
        await ladder.replay()
        for rung in DOWN:
            await ladder.climb(rung)
            await _stay(ladder, stores, rows, rung.shown, say)
        await ladder.stop_replay()
    finally:
        working.cancel()
        await asyncio.gather(working, return_exceptions=True)


async def _stay(ladder: Ladder, stores: Stores, rows: list[tuple[str, ...]], rung: str, say: Say) -> None:
    """Let the stores work for a while, and take the numbers."""
    say(f"at {rung}")
    await asyncio.sleep(RUNG_S)
    rows.append(_row(rung, await ladder.report(), len(stores.errors)))


def _row(rung: str, report: dict[str, Any], errors: int) -> tuple[str, ...]:
    stages = report["requests"]["by_stage"]
    served = " ".join(f"{stages[stage]['requests']}" for stage in ("legacy", "shadow", "dual", "kafka"))
    latency = report["latency"]
    p99 = " / ".join(_ms(latency[side]["p99_ms"]) for side in ("legacy", "kafka"))
    compared = report["compared"]
    return (
        rung,
        served,
        str(report["shadow"]["lost"]),
        str(sum(report["violations"]["by_stage"].values())),
        str(report["dual"]["diverged"]),
        f"{compared['different']} of {compared['same'] + compared['different']}",
        p99,
        str(errors),
    )


def _ms(value: float | None) -> str:
    return "–" if value is None else f"{value:.0f}"


def _table(rows: list[tuple[str, ...]]) -> Table:
    table = Table(title="The ladder", title_justify="left")
    headings = ("rung", "served at legacy shadow dual kafka", "lost", "violations", "diverged", "answers that differ",
                "p99 ms old / Kafka", "client errors")  # fmt: skip
    for heading in headings:
        table.add_column(heading, justify="left" if heading == "rung" else "right")
    for row in rows:
        table.add_row(*row)
    return table


async def _in_kafka(http: aiohttp.ClientSession, least: int) -> Movements:
    """Every record of the topic, by partition and offset, once there are so many."""
    found: list[Any] = []
    position, within = "", asyncio.get_running_loop().time() + WITHIN_S
    while len(found) < least and asyncio.get_running_loop().time() < within:
        query = {"max": "1000", "wait": "1", **({"position": position} if position else {})}
        async with http.get("/stock-movements", params=query) as answer:
            if answer.status != 200:
                raise DemoFailed(f"GET /stock-movements was answered {answer.status}: {await answer.text()}")
            page = await answer.json()
        found += page["records"]
        position = page["next"]
    found.sort(key=lambda record: (record["partition"], record["offset"]))
    return [(record["key"], record["value"]["movement"]) for record in found]


async def _in_legacy(legacy: aiohttp.ClientSession) -> Movements:
    async with legacy.get("/movements") as answer:
        return [(key, movement) for key, movement in await answer.json()]


@asynccontextmanager
async def _scene(options: Options, say: Say) -> AsyncIterator[tuple[Bridge, str]]:
    """A broker, the old service, and the bridge in front of it. Raises DemoFailed if one does not come up."""
    with TemporaryDirectory(prefix="stepbridge-demo-", ignore_cleanup_errors=True) as logs:
        async with (
            broker(options, [TOPIC], Path(logs), say, internal=INTERNAL) as bootstrap,
            _old_service(Path(logs), say) as legacy_url,
        ):
            say("starting the bridge: stepbridge serve --config migration/inventory.yaml")
            async with running_bridge(
                shipped("migration/inventory.yaml"),
                bootstrap=bootstrap,
                port=free_port(options.port),
                admin_port=free_port(options.admin_port),
                log=Path(logs, "bridge.log"),
                say=say,
                env={"INVENTORY_URL": legacy_url},
            ) as bridge:
                say(f"the bridge is ready at {bridge.url}, its admin side at {bridge.admin_url}")
                yield bridge, legacy_url


@asynccontextmanager
async def _old_service(logs: Path, say: Say) -> AsyncIterator[str]:
    port = free_port(8000)
    url = f"http://127.0.0.1:{port}"
    say(f"starting the old service at {url}")
    module, log = "proxy.demo.migration.inventory", logs / "inventory.log"
    child = await Child.start("old service", module, str(port), log=log, talks=True)
    try:
        await child.line(timeout_s=START_TIMEOUT_S)  # it listens
        yield url
    finally:
        await child.stop(timeout_s=5.0)
