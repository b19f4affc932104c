"""The clients: each sends, waits for its answer, notes what it was told of each record, and sends the next.

Records are due at an even pace; a client that was held up makes up for it. No record is ever sent twice, so each
one in the log can be held against the one answer it got.
"""

import asyncio
import random
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from tests.chaos.forms import ONE, Form, Heard
from tests.chaos.stage import TIMEOUT_MS
from tests.chaos.verdict import Outcome, Told
from tests.load.loader.http1 import Answer, Exchange

GIVES_UP_S = 2 * TIMEOUT_MS / 1000
RESTS_S = 0.2  # after anything but a success
MOVES_ON_AFTER = 40  # requests on one connection, on average: clients find their way back to every replica
KEYS = 4  # of each client, and of nobody else


@dataclass(frozen=True, slots=True)
class Pace:
    """Records are due `apart_s` from one another; none is sent `at_most_s` after the start, or once it is `over`."""

    began_s: float
    apart_s: float
    at_most_s: float
    over: asyncio.Event = field(default_factory=asyncio.Event)

    def is_over(self) -> bool:
        return self.over.is_set() or time.monotonic() - self.began_s > self.at_most_s


class Connection(Exchange):
    @property
    def is_open(self) -> bool:
        return self._transport is not None and not self._transport.is_closing()

    @property
    def body_so_far(self) -> bytes:
        """Of the answer to the last question, however it ended."""
        return b"".join(self._chunks)

    async def ask(self, data: bytes) -> Answer:
        self._chunks = []
        return await super().ask(data)


class Client:
    """One of them. `told` has what it was told, in the order in which it sent."""

    def __init__(self, number: int, doors: Sequence[int], seed: int, form: Form = ONE) -> None:
        self.told: list[Told] = []
        self._number = number
        self._doors = doors
        self._form = form
        self._dice = random.Random(f"{seed}/{number}")
        self._connection: Connection | None = None

    def __repr__(self) -> str:
        return f"<Client {self._number} {len(self.told)} told>"

    async def run(self, records: int, pace: Pace) -> None:
        """Send so many records, or those for which there is time."""
        try:
            for first in range(0, records, self._form.most):
                await asyncio.sleep(pace.began_s + first * pace.apart_s - time.monotonic())
                if pace.is_over():
                    break
                told = await self._send(range(first, min(first + self._form.most, records)), pace)
                self.told += told
                if any(each.outcome is not Outcome.WRITTEN for each in told):
                    await asyncio.sleep(RESTS_S)
        finally:
            self._hang_up()

    async def _send(self, numbers: Sequence[int], pace: Pace) -> list[Told]:
        records = [
            {"id": f"{self._number}-{number}", "key": f"{self._number}:{self._dice.randrange(KEYS)}"}
            for number in numbers
        ]
        heard = await self._ask(records)
        at_s = time.monotonic() - pace.began_s
        return [
            Told(record["id"], record["key"], said.outcome, at_s, said.place, said.why)
            for record, said in zip(records, heard, strict=True)
        ]

    async def _ask(self, records: Sequence[dict[str, str]]) -> Sequence[Heard]:
        connection = await self._connected()
        try:
            async with asyncio.timeout(GIVES_UP_S):
                answer = await connection.ask(self._form.request(records))
        except (TimeoutError, ConnectionError) as exc:
            self._hang_up()
            heard = list(self._form.half(connection.body_so_far))
            why = "no answer" if isinstance(exc, TimeoutError) else "connection ended"
            return heard + [Heard(Outcome.UNKNOWN, why)] * (len(records) - len(heard))
        if answer.headers.get("connection") == "close" or self._dice.random() * MOVES_ON_AFTER < 1:
            self._hang_up()
        return self._form.understand(answer, len(records))

    async def _connected(self) -> Connection:
        """A connection that is open as far as anybody here knows: the one of the last record, if it is."""
        while self._connection is None or not self._connection.is_open:
            try:
                self._connection = await _open(self._dice.choice(self._doors))
            except OSError:
                await asyncio.sleep(RESTS_S)
        return self._connection

    def _hang_up(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None


async def _open(port: int) -> Connection:
    _, connection = await asyncio.get_running_loop().create_connection(Connection, "127.0.0.1", port)
    return connection
