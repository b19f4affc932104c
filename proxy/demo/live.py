"""`stepbridge demo`: the scenario for as long as one likes to watch it."""

import asyncio
from random import Random
from typing import Any
from uuid import uuid4

from rich.console import Console

from proxy.demo.broker import NOTE
from proxy.demo.clients.stores import Till
from proxy.demo.crew import Crew
from proxy.demo.figures import Figures
from proxy.demo.process import free_port
from proxy.demo.retail import ASSORTMENT, READS, STORES
from proxy.demo.screen import show
from proxy.demo.stage import Options, client_session, set_stage
from proxy.demo.web import live_page

TILLS_PER_STORE = 2
SELLERS_SHOWN = 8


async def live(options: Options, console: Console) -> None:
    """Until it is cancelled. Raises DemoFailed if something that should last ends."""

    def say(text: str) -> None:
        console.print(text, markup=False, highlight=False, soft_wrap=True)

    figures = Figures(READS)
    note = NOTE if options.bootstrap is None else ""
    async with (
        set_stage(options, say) as bridge,
        client_session(bridge.url) as http,
        Crew(http, figures, run=f"{uuid4().hex[:8]}-") as crew,
        live_page(http, lambda: _state(crew, figures, note), port=free_port(options.page_port)) as address,
    ):
        crew.start(bridge.lasts(), name="the bridge")
        _open_shops(crew, options.per_second)
        say(f"\nOpen {address} to watch. Ctrl-C ends the demo.\n")
        await crew.during(show(console, figures, note))


def _open_shops(crew: Crew, per_second: float) -> None:
    dice = Random()
    tills = crew.tills(per_store=TILLS_PER_STORE, dice=dice)
    for till in tills:
        crew.start(_trade(till, len(tills) / per_second, dice), name=repr(till))


async def _trade(till: Till, pause_s: float, dice: Random) -> None:
    while True:
        async for _ in till.round():
            await asyncio.sleep(pause_s * dice.uniform(0.5, 1.5))


def _state(crew: Crew, figures: Figures, note: str) -> dict[str, Any]:
    """What /state.json says: the figures, and what a page that opens now has missed."""
    board = crew.dashboard.board
    return {
        **figures.as_json(),
        "note": note,
        "stores": STORES,
        "articles": ASSORTMENT,
        "sellers": crew.recommendation.bestsellers.top(SELLERS_SHOWN),
        "stock": board.stock,
        "prices": board.prices,
        "latest": list(board.latest),
    }
