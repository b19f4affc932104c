"""Who writes, and who reads: clients that go to another replica with every request, and do all that a client may."""

import asyncio
import json
import random
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TextIO

import orjson
from aiokafka import AIOKafkaProducer
from aiokafka.structs import RecordMetadata

from proxy.consume.claim import Claim
from proxy.consume.token import Signer
from tests.e2e.configuration import SECRET
from tests.load.loader.http1 import Answer, request
from tests.replicas.asking import NOT_SENT, UNANSWERED, Events, ask
from tests.replicas.stage import LEASE_MS, PATH
from tests.replicas.verdict import Judge

MOST_WAIT_S = 2  # of a poll
POLL_WITHIN_S = 7.0  # then a client gives up: its worker is frozen, perhaps
ACK_WITHIN_S = 12.0
TRIES = 5  # of an ack, until somebody says what became of it
RESTS_S = 0.1
KEYS = 97
TICK_S = 0.05

Record = Mapping[str, Any]


@dataclass(slots=True)
class World:
    """What all share: where the replicas are, who judges, what was answered, a diary, and whether it is over."""

    ports: Sequence[int]
    judge: Judge
    diary: TextIO
    began_s: float = field(default_factory=time.monotonic)
    answers: Counter[str] = field(default_factory=Counter)
    over: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def now_s(self) -> float:
        """Seconds since it began."""
        return time.monotonic() - self.began_s

    def note(self, *what: object) -> None:
        """A line in the diary: to be read where the judge finds a lie."""
        self.diary.write(json.dumps([round(self.now_s, 4), *what]) + "\n")


class Client:
    """One of them. It does one thing after the other, as its dice say, until all is over."""

    def __init__(self, number: int, world: World, group: str, seed: int) -> None:
        self._name = f"client {number}"
        self._world = world
        self._judge = world.judge
        self._group = group
        self._dice = random.Random(f"{seed}/{number}")
        self._signer = Signer([SECRET])

    def __repr__(self) -> str:
        return f"<{self._name}>"

    async def run(self) -> None:
        habits: Mapping[Callable[[], Awaitable[None]], int] = {
            self.accept_all: 16,
            self.accept_on_the_next_poll: 8,
            self.accept_twice: 4,
            self.accept_some: 6,
            self.renew: 2,
            self.forget: 1,
            self.stream: 1,
        }
        while not self._world.over.is_set():
            (habit,) = self._dice.choices(list(habits), list(habits.values()))
            await habit()

    # ---- habits

    async def accept_all(self) -> None:
        records, lease = await self._poll()
        if lease:
            await self._ack(lease, accept=records)

    async def accept_twice(self) -> None:
        """A repeated ack is harmless, wherever it goes."""
        records, lease = await self._poll()
        if lease:
            await asyncio.gather(self._ack(lease, accept=records), self._ack(lease, accept=records))

    async def accept_some(self) -> None:
        """Give the others back, for others at once or in a while."""
        records, lease = await self._poll()
        if lease:
            some = self._dice.randint(0, len(records))
            delay_ms = self._dice.choice([0, 0, 500])
            await self._ack(lease, accept=records[:some], release=records[some:], delay_ms=delay_ms)

    async def renew(self) -> None:
        records, lease = await self._poll()
        if lease:
            answer = await self._post({"lease": lease, "renew_ms": LEASE_MS})
            if answer.status == 200:
                await self._ack(orjson.loads(answer.body)["lease"], accept=records)

    async def forget(self) -> None:
        await self._poll()

    async def accept_on_the_next_poll(self) -> None:
        """A few polls, each of which acknowledges the one before, and an ack for the last."""
        records, lease = await self._poll()
        for _ in range(self._dice.randint(1, 4)):
            if not lease:
                return
            records, lease = await self._poll(records, lease)
        if lease:
            await self._ack(lease, accept=records)

    async def stream(self) -> None:
        """Read for a while and accept what comes; and once more, perhaps, from where that ended."""
        last_id = await self._read_stream("")
        if last_id and self._dice.random() < 0.5:
            await self._read_stream(last_id)

    # ---- polls

    async def _poll(self, before: Sequence[Record] = (), ack: str = "") -> tuple[Sequence[Record], str]:
        """The records, and the lease if there are any. `ack` is the lease of those `before`."""
        query = f"max={self._dice.choice([1, 5, 20, 100])}&wait={self._dice.randint(0, MOST_WAIT_S)}"
        target = f"{PATH}?{query}" + (f"&ack={ack}" if ack else "")
        for _ in range(TRIES if ack else 1):
            asked_s = self._world.now_s
            answer = await self._ask("poll", request("GET", target), POLL_WITHIN_S)
            is_known = not ack or self._acked(before, answer)
            if answer.status == 200:
                return self._brought(answer.body, asked_s)
            await asyncio.sleep(RESTS_S)
            if is_known:
                break
        return [], ""

    def _brought(self, body: bytes, asked_s: float) -> tuple[Sequence[Record], str]:
        page = orjson.loads(body)
        records, lease = page["records"], page.get("lease", "")
        if records:
            self._bring(records, max(asked_s, self._handed_out_s(lease)))
        return records, lease

    def _bring(self, records: Sequence[Record], since_s: float) -> None:
        self._world.note(self._name, "brought", since_s, [(number(r), r["id"], r["deliveries"]) for r in records])
        self._judge.brought(map(number, records), since_s=since_s, at_s=self._world.now_s, to=self._name)

    def _handed_out_s(self, lease: str) -> float:
        """When the records' owner did: its lease says until when it lasts, by the wall clock."""
        claim = Claim.open(self._signer, lease, group=self._group)
        ago_s = time.time() - (claim.until_ms - LEASE_MS) / 1000
        return self._world.now_s - ago_s

    # ---- acks

    async def _ack(
        self, lease: str, *, accept: Sequence[Record] = (), release: Sequence[Record] = (), delay_ms: int = 0
    ) -> None:
        """Say it, again and again until somebody answers what became of it."""
        words: dict[str, Any] = {"lease": lease, "accept": ids(accept)}
        if release:
            words |= {"release": ids(release), "delay_ms": delay_ms}
        for _ in range(TRIES):
            if self._acked(accept, await self._post(words)):
                return
            await asyncio.sleep(RESTS_S)

    async def _post(self, words: Mapping[str, Any]) -> Answer:
        return await self._ask("ack", request("POST", f"{PATH}/ack", orjson.dumps(words)), ACK_WITHIN_S)

    def _acked(self, accepted: Sequence[Record], answer: Answer) -> bool:
        """Whether the answer says what became of an ack of these; the judge is told."""
        told = answer.body.decode(errors="replace") if answer.status not in (200, NOT_SENT.status) else ""
        self._world.note(self._name, "acked", answer.status, told, [number(each) for each in accepted])
        if answer.status == 200:
            self._judge.accepted(map(number, accepted), self._world.now_s)
            return True
        if answer.status == 409:
            known = set(orjson.loads(answer.body).get("accepted", ()))
            self._judge.accepted((number(each) for each in accepted if each["id"] in known), self._world.now_s)
            return True
        if answer is UNANSWERED or answer.status == 504:
            self._judge.doubted(map(number, accepted))
        return False

    # ---- streams

    async def _read_stream(self, last_id: str) -> str:
        """Accept what comes for some seconds, then hang up. The last event's id."""
        until_s = self._world.now_s + self._dice.uniform(0.5, 4)
        try:
            _, stream = await asyncio.get_running_loop().create_connection(
                lambda: Events(self._bring_events), "127.0.0.1", self._dice.choice(self._world.ports)
            )
        except OSError:
            await asyncio.sleep(RESTS_S)
            return ""
        try:
            await stream.begin(PATH, last_id)
            while (left_s := until_s - self._world.now_s) > 0:
                if (records := await stream.next(left_s)) is None:
                    break
                leases = by_lease(records).items()
                await asyncio.gather(*(self._ack(lease, accept=those) for lease, those in leases))
        finally:
            stream.close()
        self._note("stream", stream.status)
        return stream.last_id

    def _bring_events(self, records: Sequence[Record]) -> None:
        for lease, those in by_lease(records).items():
            self._bring(those, self._handed_out_s(lease))

    # ---- all of them

    async def _ask(self, what: str, data: bytes, within_s: float) -> Answer:
        answer = await ask(self._dice.choice(self._world.ports), data, within_s)
        self._note(what, answer.status, answer.body)
        return answer

    def _note(self, what: str, status: int, body: bytes = b"") -> None:
        """Count it. What no client of these could expect is for the judge."""
        names = {200: "200", NOT_SENT.status: "not sent", UNANSWERED.status: "no answer"}
        name = f"{what}: {names.get(status) or f'{status} {code(body)}'}"
        self._world.answers[name] += 1
        if status not in names and status not in (409, 503, 504):
            self._judge.strange(f"{self._name}, {name} at {self._world.now_s:.2f} s: {body[:300]!r}")


def by_lease(events: Iterable[Record]) -> Mapping[str, Sequence[Record]]:
    found: dict[str, list[Record]] = {}
    for event in events:
        found.setdefault(event["lease"], []).append(event)
    return found


def ids(records: Iterable[Record]) -> list[str]:
    return [record["id"] for record in records]


def number(record: Record) -> int:
    value = record["value"]
    return int(value["n"])


def code(body: bytes) -> str:
    return str(orjson.loads(body).get("code")) if body.startswith(b"{") else ""


def place(written: RecordMetadata) -> tuple[int, int]:
    return written.partition, written.offset


async def write(bootstrap: str, topic: str, world: World, per_s: float, over: asyncio.Event) -> None:
    """Numbered records at an even rate, with some keys, until it is over. Raises KafkaError if one is refused."""
    done, began_s = 0, time.monotonic()
    async with AIOKafkaProducer(bootstrap_servers=bootstrap, acks="all", metadata_max_age_ms=1_000) as producer:
        while not over.is_set():
            numbers = range(done, int((time.monotonic() - began_s) * per_s))
            world.judge.sends(numbers, world.now_s)
            sent = [await producer.send(topic, b'{"n":%d}' % n, b"%d" % (n % KEYS)) for n in numbers]
            await asyncio.gather(*sent)
            world.judge.wrote(numbers, world.now_s)
            world.note("writer", "wrote", [(n, *place(one.result())) for n, one in zip(numbers, sent, strict=True)])
            done += len(numbers)
            await asyncio.sleep(TICK_S)
