"""Replays to the legacy service, as this process runs them and operators steer them; and what a descent would miss."""

import asyncio
from collections.abc import Callable, Iterator
from functools import partial
from secrets import token_hex
from typing import Any

from proxy.clock import Deadline, wall_ms
from proxy.config.model import Config, Route
from proxy.migrate import chronicle as words
from proxy.migrate.account import Accounts
from proxy.migrate.control import Control
from proxy.migrate.refusals import ControlAway, NoMigration
from proxy.migrate.replay import Replay
from proxy.migrate.unseen import Book, Log, Progress, missed
from proxy.observe.metrics import Sample
from proxy.seams.feeds import NewTail
from proxy.seams.migrate import Missed
from proxy.seams.topics import Topics
from proxy.seams.upstream import Upstream
from proxy.tasks import Tasks

LOOK_S = 3.0


class Replays:
    """`async with` ends those that run. The numbers by which stages are changed (`seams.Figures`) are here too."""

    def __init__(
        self,
        control: Control,
        accounts: Accounts,
        topics: Topics,
        new_tail: NewTail,
        upstream: Callable[[str], Upstream],
    ) -> None:
        self._control = control
        self._accounts = accounts
        self._topics = topics
        self._new_tail = new_tail
        self._upstream = upstream
        self._routes: dict[str, Route] = {}
        self._divergences = ""
        self._tasks = Tasks()
        self._running: dict[str, tuple[Replay, asyncio.Task[None]]] = {}
        self._before: dict[str, tuple[int, int]] = {}  # sent and refused by those before

    def __repr__(self) -> str:
        return f"<Replays {[replay for replay, _ in self._running.values()]}>"

    async def __aenter__(self) -> "Replays":
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._tasks.end()

    def follow(self, config: Config) -> None:
        """Put this configuration in force. What runs goes on."""
        self._routes = {route.name: route for route in config.routes if route.migrate}
        self._divergences = config.kafka.internal.divergences

    # ---- for operators

    async def state(self, name: str) -> dict[str, Any]:
        """How far a route's replay has come, and what is left. Raises NoMigration, KafkaAway and their kin."""
        book = self._book(name)
        left = await missed(self._log(name), book, Deadline.after(LOOK_S), finish=False)
        progress = book.read()
        return {"route": name, **progress.as_json(), "runs": progress.is_open, "left": left.records}

    async def start(self, name: str, *, follow: bool, skip_refused: bool) -> dict[str, Any]:
        """Begin one, in this process. Raises AnotherReplays, ControlAway, NoMigration."""
        route = self._route(name)
        if not self._control.is_fresh:
            raise ControlAway("This process cannot read the control topic, so it does not know where a replay stands.")
        assert route.upstream
        replay = Replay(
            self._log(name),
            self._book(name),
            self._upstream(route.upstream),
            run=token_hex(4),
            replica=self._control.me.id,
            follow=follow,
            skip_refused=skip_refused,
        )
        if name in self._running:
            ended, (sent, refused) = self._running[name][0].progress, self._before.get(name, (0, 0))
            self._before[name] = sent + ended.sent, refused + ended.refused
        task = asyncio.create_task(replay.run(), name=f"replay {name}")
        self._tasks.keep(task)
        self._running[name] = replay, task
        return {"route": name, **replay.progress.as_json()}

    async def stop(self, name: str) -> dict[str, Any]:
        """Have whoever runs it stop after its batch. Raises NoMigration, ControlAway."""
        progress = self._book(name).read()
        me = self._control.me.id
        stopped = Progress(f"stop-{token_hex(4)}", me, "stopped", wall_ms(), progress.offsets, parted=progress.parted)
        if not await self._control.write(*words.replaying(name, stopped.as_json())):
            raise ControlAway("The control topic cannot be written to. Try again.")
        return {"route": name, **stopped.as_json()}

    # ---- seams.Figures

    def shadowed(self, route: str) -> tuple[int, int]:
        account = self._accounts.named(route)
        return account.violations_share() if account else (0, 0)

    async def missed(self, route: str, deadline: Deadline, *, finish: bool) -> Missed:
        """By what the control topic says, or, where the replay runs here, by what it says itself, which is newer."""
        book = self._book(route)
        if (running := self._running.get(route)) and not running[1].done():
            book = Book(lambda: running[0].progress, book.write)
        return await missed(self._log(route), book, deadline, finish=finish)

    def samples(self) -> Iterator[Sample]:
        for name, (replay, task) in self._running.items():
            labels, (sent, refused) = {"route": name}, self._before.get(name, (0, 0))
            yield Sample("stepbridge_replay_sent_total", labels, sent + replay.progress.sent)
            yield Sample("stepbridge_replay_refused_total", labels, refused + replay.progress.refused)
            yield Sample("stepbridge_replay_running", labels, not task.done())

    # ---- what they are made of

    def _route(self, name: str) -> Route:
        if name not in self._routes:
            raise NoMigration(f"No route named {name!r} has `migrate`.")
        return self._routes[name]

    def _log(self, name: str) -> Log:
        route = self._route(name)
        assert route.produce
        return Log(name, route.produce.topic, self._divergences, self._topics, self._new_tail)

    def _book(self, name: str) -> Book:
        self._route(name)
        return Book(partial(self._read, name), partial(self._write, name))

    def _read(self, name: str) -> Progress:
        said = self._control.chronicle.replays.get(name)
        return Progress.read(said) if said else Progress()

    async def _write(self, name: str, progress: Progress) -> bool:
        return await self._control.write(*words.replaying(name, progress.as_json()))
