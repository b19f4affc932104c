"""The clients: each sends one record, waits for its answer, notes what it was told, and sends the next.

Records are due at an even pace; a client that was held up makes up for it. No record is ever sent twice, so each
one in the log can be held against the one answer it got.
"""

import asyncio
import json
import random
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from tests.chaos.stage import PATH, TIMEOUT_MS
from tests.chaos.verdict import Outcome, Place, Told
from tests.load.loader.http1 import Answer, Exchange, request

GIVES_UP_S = 2 * TIMEOUT_MS / 1000
RESTS_S = 0.2  # after anything but a success
MOVES_ON_AFTER = 40  # requests on one connection, on average: clients find their way back to every replica
KEYS = 4  # of each client, and of nobody else

NOT_WRITTEN = {429, 503}
UNKNOWN = {504}


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


class Client:
    """One of them. `told` has what it was told, in the order in which it sent."""

    def __init__(self, number: int, doors: Sequence[int], seed: int) -> None:
        self.told: list[Told] = []
        self._number = number
        self._doors = doors
        self._dice = random.Random(f"{seed}/{number}")
        self._connection: Connection | None = None

    def __repr__(self) -> str:
        return f"<Client {self._number} {len(self.told)} told>"

    async def run(self, records: int, pace: Pace) -> None:
        """Send so many records, or those for which there is time."""
        try:
            for number in range(records):
                await asyncio.sleep(pace.began_s + number * pace.apart_s - time.monotonic())
                if pace.is_over():
                    break
                self.told.append(told := await self._send(number, pace.began_s))
                if told.outcome is not Outcome.WRITTEN:
                    await asyncio.sleep(RESTS_S)
        finally:
            self._hang_up()

    async def _send(self, number: int, began_s: float) -> Told:
        name, key = f"{self._number}-{number}", f"{self._number}:{self._dice.randrange(KEYS)}"
        data = request("POST", PATH, json.dumps({"id": name, "key": key}).encode())
        connection = await self._connected()
        place: Place | None = None
        try:
            async with asyncio.timeout(GIVES_UP_S):
                answer = await connection.ask(data)
        except TimeoutError:
            self._hang_up()
            outcome, why = Outcome.UNKNOWN, "no answer"
        except ConnectionError:
            self._hang_up()
            outcome, why = Outcome.UNKNOWN, "connection ended"
        else:
            outcome, why, place = understand(answer)
            if answer.headers.get("connection") == "close" or self._dice.random() * MOVES_ON_AFTER < 1:
                self._hang_up()
        return Told(name, key, outcome, time.monotonic() - began_s, place, why)

    async def _connected(self) -> Connection:
        """A connection that is open as far as anybody here knows, to the one of the last record if it is."""
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


def understand(answer: Answer) -> tuple[Outcome, str, Place | None]:
    """The outcome that an answer speaks of (DESIGN, law 2), a word on why, and the place."""
    body = json.loads(answer.body)
    if answer.status == 201:
        return Outcome.WRITTEN, "", Place(body["topic"], body["partition"], body["offset"])
    why = f"{answer.status} {body.get('code')}"
    if answer.status in UNKNOWN:
        return Outcome.UNKNOWN, why, None
    if answer.status in NOT_WRITTEN or 400 <= answer.status < 500:
        return Outcome.NOT_WRITTEN, why, None
    return Outcome.UNSAID, why, None
