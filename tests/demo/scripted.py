"""A scripted bridge: the contract the demo's clients rely on, in memory, with a hand on what it delivers.

One partition a topic, no Kafka, no signatures. `tamper(reader, records)` sees every batch on its way out and may lose,
repeat or swap records: what a bridge must never do.
"""

import asyncio
import math
import time
from collections import defaultdict, deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import orjson
from aiohttp import web

from proxy.demo import retail

Record = dict[str, Any]
Tamper = Callable[[str, list[Record]], list[Record]]

PRODUCE = {
    "/stores/{store}/stock": retail.STOCK,
    "/stores/{store}/promotions": retail.PROMOTIONS,
    "/stores/{store}/sales": retail.SALES,
    "/restock-orders": retail.RESTOCK,
    "/prices": retail.PRICES,
}
LEASE_S = 0.3
HEARTBEAT_S = 0.1


@dataclass(slots=True)
class Lease:
    record: Record
    holder: str
    place: int  # among what this holder was given
    expires_s: float


@dataclass
class Group:
    """Records go to one client each, and come back unless they are accepted."""

    waiting: deque[Record] = field(default_factory=deque)
    leases: dict[str, Lease] = field(default_factory=dict)  # by record id
    places: defaultdict[str, int] = field(default_factory=lambda: defaultdict(int))

    def lease(self, holder: str, count: int, lease_s: float = LEASE_S) -> list[Record]:
        now_s = time.monotonic()
        for lease in [lease for lease in self.leases.values() if lease.expires_s < now_s]:
            self.release(lease.record["id"])
        taken = [self.waiting.popleft() for _ in range(min(count, len(self.waiting)))]
        for record in taken:
            self.places[holder] += 1
            self.leases[record["id"]] = Lease(record, holder, self.places[holder], now_s + lease_s)
            record["deliveries"] += 1
        return [dict(record) for record in taken]

    def release(self, name: str) -> None:
        self.waiting.appendleft(self.leases.pop(name).record)

    def end(self, holder: str) -> None:
        """Its connection is gone: it has as long as any lease to come back."""
        for lease in self.leases.values():
            if lease.holder == holder:
                lease.expires_s = time.monotonic() + LEASE_S

    def resume(self, holder: str, place: int) -> None:
        """Accept what the holder was given up to `place`; release the rest, in its order."""
        held = sorted((lease.place, name) for name, lease in self.leases.items() if lease.holder == holder)
        for its_place, name in reversed(held):
            if its_place > place:
                self.release(name)
            else:
                del self.leases[name]


class ScriptedBridge:
    def __init__(self, tamper: Tamper = lambda reader, records: records) -> None:
        self.log: list[Record] = []
        self.groups = {name: Group() for name in (retail.INVENTORY, retail.PRICING, retail.RECOMMENDATION)}
        self.refusals: deque[int] = deque()  # statuses for the next POSTs
        self.away = False  # streams are 503
        self.gone = False  # resumptions without a group are 410
        self._cuts = 0
        self.headers: list[dict[str, str]] = []  # of each stream request
        self._tamper = tamper
        self._streams = 0
        self._news = asyncio.Event()  # set, and replaced, at every append

    def app(self) -> web.Application:
        app = web.Application()
        for path in PRODUCE:
            app.router.add_post(path, self.produce)
        app.router.add_get("/inventory/changes", self.poll)
        app.router.add_post("/inventory/changes/ack", self.ack)
        app.router.add_get("/pricing/changes", self.pricing)
        app.router.add_get("/recommendations/sales", self.recommendations)
        app.router.add_get("/dashboard/events", self.dashboard)
        return app

    async def produce(self, request: web.Request) -> web.Response:
        if self.refusals:
            return web.Response(status=self.refusals.popleft(), headers={"Retry-After": "0"}, text="scripted")
        resource = request.match_info.route.resource
        assert resource is not None
        body = orjson.loads(await request.read())
        store = request.match_info.get("store") or body["store"]
        await self.append(PRODUCE[resource.canonical], f"{store}:{body['sku']}", body)
        return web.json_response({"offset": len(self.log)}, status=201)

    async def append(self, topic: str, key: str, value: Any) -> None:
        offset = len(self.log)
        record = {"id": f"{topic}:{offset}", "topic": topic, "offset": offset, "key": key, "value": value}
        self.log.append(record)
        for name, group in self.groups.items():
            if topic in retail.READS[name]:
                group.waiting.append({**record, "deliveries": 0})
        self._news.set()
        self._news = asyncio.Event()

    async def poll(self, request: web.Request) -> web.Response:
        wait_s = float(request.headers["Prefer"].removeprefix("wait="))
        group, deadline_s = self.groups[retail.INVENTORY], time.monotonic() + wait_s
        while not (records := group.lease("poll", 100)) and time.monotonic() < deadline_s:
            await self._wait()
        return web.json_response({"records": self._tamper(retail.INVENTORY, records), "lease": "the lease"})

    async def ack(self, request: web.Request) -> web.Response:
        body = orjson.loads(await request.read())
        group = self.groups[retail.INVENTORY]
        if any(name not in group.leases for name in [*body["accept"], *body["release"]]):
            return web.Response(status=409)
        for name in body["accept"]:
            del group.leases[name]
        for name in reversed(body["release"]):
            group.release(name)
        return web.Response(status=200)

    async def pricing(self, request: web.Request) -> web.StreamResponse:
        assert request.headers["Accept"] == "text/event-stream"
        return await self._group_stream(request, retail.PRICING, _sse)

    async def recommendations(self, request: web.Request) -> web.StreamResponse:
        assert request.headers["Accept"] == "application/x-ndjson"
        return await self._group_stream(request, retail.RECOMMENDATION, _ndjson)

    async def _group_stream(
        self, request: web.Request, reader: str, frame: Callable[[Record, str], bytes]
    ) -> web.StreamResponse:
        group = self.groups[reader]
        self._streams += 1
        holder, place = f"stream{self._streams}", 0
        if last_id := self._last_id(request):
            before, _, last_place = last_id.partition("/")
            group.resume(before, int(last_place))
        answer = await self._prepare(request)
        try:
            while True:
                records = group.lease(holder, 20, lease_s=math.inf)
                names = {record["id"]: f"{holder}/{place + number}" for number, record in enumerate(records, 1)}
                place += len(records)
                shown = self._tamper(reader, records)
                chunks = [frame(record, names.get(record["id"], f"{holder}/{place}")) for record in shown]
                await answer.write(b"".join(chunks) or b"\n")
                if not records:
                    await self._wait()
        finally:
            group.end(holder)

    async def dashboard(self, request: web.Request) -> web.StreamResponse:
        last_id = self._last_id(request)
        if self.away or (last_id and self.gone):
            return web.Response(status=503 if self.away else 410)
        place = int(last_id) + 1 if last_id else len(self.log)
        answer, cuts = await self._prepare(request), self._cuts
        while cuts == self._cuts:
            records, place = self.log[place:], len(self.log)
            shown = self._tamper(retail.DASHBOARD, [dict(record) for record in records])
            await answer.write(b"".join(_sse(record, str(record["offset"])) for record in shown) or b":\n\n")
            if not records:
                await self._wait()
        return answer

    def cut(self) -> None:
        """End the dashboards' streams."""
        self._cuts += 1

    def _last_id(self, request: web.Request) -> str | None:
        self.headers.append(dict(request.headers))
        return request.headers.get("Last-Event-ID")

    async def _prepare(self, request: web.Request) -> web.StreamResponse:
        media_type = request.headers["Accept"]
        answer = web.StreamResponse(headers={"Content-Type": media_type})
        await answer.prepare(request)
        await answer.write(b"retry: 10\n\n" if media_type == "text/event-stream" else b"\n")
        return answer

    async def _wait(self) -> None:
        with suppress(TimeoutError):
            await asyncio.wait_for(self._news.wait(), HEARTBEAT_S)


def _sse(record: Record, position: str) -> bytes:
    return b"id: %s\ndata: %s\n\n" % (position.encode(), orjson.dumps(record))


def _ndjson(record: Record, position: str) -> bytes:
    return orjson.dumps({**record, "position": position}) + b"\n"
