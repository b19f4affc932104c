"""The old service: keeps the stock of stores in memory, and has never heard of Kafka.

| request | answer |
|---|---|
| POST /stores/{store}/stock `{"movement", "sku", "quantity"}` | 200 `{"ok": true, "sku"}` |
| GET /stores/{store}/stock | the stock of the store, by article |
| GET /movements | every movement it has taken, as `[key, movement]`, in its order |

A movement that it has taken already changes nothing: what was replayed to it twice, it has once.
"""

import sys
from collections import defaultdict
from typing import Any

from aiohttp import web


class Inventory:
    def __init__(self) -> None:
        self._stock: defaultdict[str, defaultdict[str, int]] = defaultdict(lambda: defaultdict(int))
        self._taken: dict[str, str] = {}  # movement → key, in the order they came

    async def move(self, request: web.Request) -> web.Response:
        store, body = request.match_info["store"], await request.json()
        movement, sku = body["movement"], body["sku"]
        if movement not in self._taken:
            self._taken[movement] = f"{store}:{sku}"
            self._stock[store][sku] += body["quantity"]
        return web.json_response({"ok": True, "sku": sku})

    async def stock(self, request: web.Request) -> web.Response:
        return web.json_response(self._stock[request.match_info["store"]])

    async def movements(self, request: web.Request) -> web.Response:
        taken: list[Any] = [[key, movement] for movement, key in self._taken.items()]
        return web.json_response(taken)


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def main(port: int) -> None:
    """Serve on loopback until it is ended. The first line of output says that it listens."""
    inventory, app = Inventory(), web.Application()
    app.add_routes(
        [
            web.post("/stores/{store}/stock", inventory.move),
            web.get("/stores/{store}/stock", inventory.stock),
            web.get("/movements", inventory.movements),
        ]
    )
    web.run_app(app, host="127.0.0.1", port=port, access_log=None, print=_say)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 8000)
