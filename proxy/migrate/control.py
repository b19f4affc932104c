"""This process among all that serve routes on their way: it reads the control topic, and is heard in it.

Every BEAT_S each process writes that it is there. When it reads back what it wrote at some moment, it has read
everything that was written before: so it knows as of when it knows. Until the first time it serves no such route; once
that moment is more than STALE_S ago it keeps its stages, holds nobody, and says so.

Nobody joins unseen: who serves has read its own first heartbeat, so either that stands before an announcement, and the
change waits for it, or the announcement was read, and its keys are held, before the first request passed.

What a change of stage is stands in `changing.py`; what it does to a route of this process in `participant.py`.
"""

import asyncio
import contextlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace

from proxy.clock import Deadline, now_s
from proxy.errors import ProxyError
from proxy.migrate import chronicle as words
from proxy.migrate.chronicle import Chronicle, Confirmation, Outcome, Replica
from proxy.migrate.participant import Participant, Voice
from proxy.migrate.stages import Setting
from proxy.migrate.standing import Standing
from proxy.observe.logs import Seldom, logger
from proxy.seams.migrate import ControlLog, Figures
from proxy.tasks import Tasks

BEAT_S = 1.0
STALE_S = 5.0
LOOK_S = 0.25  # between two looks at how old what we know is
READ_S = 0.5
WRITE_S = 2.0
LEAVE_S = 1.0
RETRY_S = (0.2, 0.5, 1.0, 2.0)

log = logger("migrate")


@dataclass(frozen=True, slots=True)
class Terms:
    """What the configuration says of a route: its first setting, and the share of violations it may climb with."""

    file: Setting
    max_violations: float = 0.0


class Control:
    """See the head of this file. `async with` takes part, and leaves."""

    def __init__(self, topic: ControlLog, replica: Replica) -> None:
        self.me = replica
        self.chronicle = Chronicle()
        self.terms: Mapping[str, Terms] = {}
        self.figures: Figures | None = None
        self.held: Callable[[], Mapping[str, int]] = dict  # what waits in our shadows, for others to know
        self.joined_s: float | None = None  # when our first heartbeat was read back
        self.trouble: str | None = None  # why the topic cannot be read, or written to
        self._topic = topic
        self._participants: dict[str, Participant] = {}
        self._beats_s: dict[int, float] = {}  # when each was sent that was not read back
        self._known_s: float | None = None
        self._turn = asyncio.Event()
        self._opened = asyncio.Event()
        self._tasks = Tasks()
        self._removed: set[bytes] = set()
        self._seldom = Seldom()
        self._voice = Voice(self._confirm, self._abandon, self._shadowed)

    def __repr__(self) -> str:
        return f"<Control {self.me.id} {'fresh' if self.is_fresh else 'stale'}, {self.chronicle!r}>"

    async def __aenter__(self) -> "Control":
        self._tasks.begin(self._read_for_ever(), name="read the control topic")
        self._tasks.begin(self._beat(), name="beat")
        self._tasks.begin(self._look(), name="look around")
        return self

    async def __aexit__(self, *_: object) -> None:
        """The others need not wait for us any longer. Requests are drained before."""
        await self._tasks.end()
        if self.joined_s is not None:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(LEAVE_S):
                    await self.write(*words.heartbeat(replace(self.me, number=self.me.number + 1, held={})))
                    for key in words.leaving(self.me.id, self.chronicle.routes):
                        await self.write(key, None)
        await self._topic.close()

    # ---- routes

    def follow(self, terms: Mapping[str, Terms]) -> None:
        """These routes are on their way. One that is new goes by its file, unless the topic says otherwise; another
        keeps the stage it has, whatever its file says now."""
        self.terms = terms
        for name, each in terms.items():
            self._participant(name, each.file)

    def standing(self, route: str) -> Standing:
        """Of a route that was followed."""
        return self._participants[route].standing

    def _participant(self, route: str, file: Setting | None = None) -> Participant:
        """Also of routes that only others have: nobody shall wait for us there."""
        found = self._participants.get(route)
        if found is None:
            standing = Standing(route, file or Setting("legacy"))
            found = Participant(self.me.id, standing, self.chronicle.route(route), self._voice)
            self._participants[route] = found
            self._tasks.begin(found.run(), name=f"take part in {route}")
            found.tell(is_fresh=self.is_fresh)
        if file is not None and not found.is_ours:
            found.adopt(file)
        return found

    # ---- what we know, and as of when

    @property
    def known_age_s(self) -> float | None:
        """How old what we know is at most; None before we have joined."""
        return None if self._known_s is None else now_s() - self._known_s

    @property
    def is_fresh(self) -> bool:
        age_s = self.known_age_s
        return age_s is not None and age_s <= STALE_S

    async def until(self, true: Callable[[], bool], deadline: Deadline) -> bool:
        """Wait until that is true of the chronicle, or of who is alive. False: the deadline was first."""
        while not true():
            if deadline.remaining_s() <= 0:
                return False
            turn = self._turn
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(min(deadline.remaining_s(), LOOK_S)):
                    await turn.wait()
        return True

    async def _read_for_ever(self) -> None:
        failures = 0
        while True:
            try:
                await self._topic.open()
                self._opened.set()
                failures, self.trouble = 0, None
                while True:
                    for record in await self._topic.read(READ_S):
                        self._heard(record.key, record.value)
                    self._tell()
            except ProxyError as error:
                self.trouble = error.detail
                if self._seldom("read"):
                    log.warning("control_topic_away", reason=error.detail)
            except Exception as exc:  # noqa: BLE001 - nobody else would read on
                self.trouble = repr(exc)
                log.error("control_failed", exc=exc)
            await asyncio.sleep(RETRY_S[min(failures, len(RETRY_S) - 1)])
            failures += 1

    def _heard(self, key: bytes | None, value: bytes | None) -> None:
        now = now_s()
        self.chronicle.read(key, value, now)
        me = self.chronicle.replicas.get(self.me.id)
        if me is not None and me.number in self._beats_s:
            self._known_s = self._beats_s[me.number]
            self._beats_s = {number: at_s for number, at_s in self._beats_s.items() if number > me.number}
            if self.joined_s is None:
                self.joined_s = now
                log.info("control_joined", replica=self.me.id, routes=len(self.terms))

    def _tell(self) -> None:
        """All participants, and whoever waits: something is new."""
        for name in self.chronicle.routes:
            self._participant(name)
        for each in self._participants.values():
            each.tell(is_fresh=self.is_fresh)
        self._turn.set()
        self._turn = asyncio.Event()

    async def _look(self) -> None:
        """Time alone makes us stale, and others gone."""
        while True:
            await asyncio.sleep(LOOK_S)
            self._tell()
            if self.is_fresh:
                self._tidy()

    def _tidy(self) -> None:
        """Take away what would stay in the topic for ever. It is harmless if several do."""
        keys = set(self.chronicle.void)
        for replica in self.chronicle.forgotten(now_s()):
            keys.update(words.leaving(replica, self.chronicle.routes))
        for key in keys - self._removed:
            self._removed.add(key)
            self._tasks.begin(self.write(key, None), name="tidy")

    # ---- being heard

    async def _beat(self) -> None:
        await self._opened.wait()
        while True:
            began_s = now_s()
            self.me = replace(self.me, number=self.me.number + 1, held=self.held())
            self._beats_s[self.me.number] = began_s
            await self.write(*words.heartbeat(self.me))
            await asyncio.sleep(began_s + BEAT_S - now_s())

    async def write(self, key: bytes, value: bytes | None) -> bool:
        """True: it is in the topic. False: it is not, or that is not known; the log says why."""
        try:
            await self._topic.write(key, value, Deadline.after(WRITE_S))
        except ProxyError as error:
            self.trouble = error.detail
            if self._seldom("write"):
                log.warning("control_topic_not_written", reason=error.detail)
            return False
        self.trouble = None
        return True

    async def _confirm(self, confirmation: Confirmation) -> None:
        """Until it is written, or another is due."""
        route = self.chronicle.route(confirmation.route)
        for pause_s in (*RETRY_S, *RETRY_S):
            if await self.write(*words.confirming(confirmation)) or route.epoch > confirmation.epoch:
                return
            await asyncio.sleep(pause_s)

    async def _abandon(self, outcome: Outcome) -> None:
        await self.write(*words.ending(outcome))

    def _shadowed(self, route: str) -> tuple[int, int]:
        return self.figures.shadowed(route) if self.figures is not None and route in self.terms else (0, 0)

    # ---- who else is there

    def live(self) -> set[str]:
        return self.chronicle.live(now_s())

    def others(self) -> Iterator[tuple[Replica, float]]:
        """Every replica the topic knows, ourselves included, and for how long it was not heard of."""
        now = now_s()
        for each in sorted(self.chronicle.replicas.values(), key=lambda replica: replica.id):
            yield each, self.chronicle.age_s(each.id, now)
