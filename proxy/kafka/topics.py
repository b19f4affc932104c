"""What is known of the cluster's topics, kept fresh in the background (`seams.Topics`).

One task asks; everybody else looks the answer up. Kafka may be away at the start or at any time: the task keeps
asking, ever more slowly, and what was last known stays known. A topic is known only once its settings were asked
for, so that no record is handed to Kafka on a guess.
"""

import asyncio
import contextlib
import dataclasses
from collections.abc import Iterable
from dataclasses import dataclass
from types import MappingProxyType

from proxy.clock import Deadline, now_s, wall_ms
from proxy.config.kafka_rights import DISPENSABLE, Rights, in_words, lacking
from proxy.errors import KafkaAway, KafkaForbids, ProxyError, TopicMissing
from proxy.kafka.connection import KafkaSettings
from proxy.kafka.questions import ClusterAnswer, TopicSettings, ask_cluster, ask_settings, create_topic
from proxy.kafka.rights import ask_rights
from proxy.observe.logs import logger
from proxy.record import Topic

SETTINGS_AGE_S = 60.0
APART_S = 1.0  # between two looks, however many callers miss a topic
RETRY_S = (0.2, 0.5, 1.0, 2.0, 5.0)
CREATED_TRIES = 20  # looks, 0.1 s apart, until a topic just created has its partitions

log = logger("kafka")


@dataclass(frozen=True, slots=True)
class ClusterState:
    """For `/readyz?strict=1` and the metrics."""

    reachable: bool
    since_ms: int  # wall clock; when `reachable` last changed
    brokers: int  # as last heard
    cluster_id: str | None
    missing: tuple[str, ...]  # configured, but not there as of the last look


class Topics:
    """The topics of one cluster. `async with` keeps them fresh.

    `names` are watched from the start; others join when they are looked for. `create` makes a missing topic, with the
    broker's defaults, when somebody looks for it. `needed`: what the bridge must be allowed, topics and groups.
    """

    def __init__(
        self,
        settings: KafkaSettings,
        names: Iterable[str] = (),
        *,
        create: bool = False,
        refresh_s: float = 15.0,
        needed: Rights = MappingProxyType({}),
    ) -> None:
        self._settings = settings
        self._names = set(names)
        self._create = create
        self._needed = needed
        self._held: Rights = {}
        self.lacks: Rights = {}  # of what is needed, as of the last look
        self._refresh_s = refresh_s
        self._known: dict[str, Topic] = {}
        self._forbidden: frozenset[str] = frozenset()
        self._answer: ClusterAnswer | None = None
        self._answered: frozenset[str] = frozenset()  # what the last look can say for certain
        self._answered_s = 0.0
        self._reachable = False
        self._since_ms = wall_ms()
        self._topic_settings: dict[str, TopicSettings] = {}
        self._settings_read_s: dict[str, float] = {}
        self._reported: set[tuple[str, str]] = set()
        self._wanted: set[str] = set()  # looked for and missed since the last look
        self._first = asyncio.Event()  # set when something is known
        self._poke = asyncio.Event()
        self._waiting: list[asyncio.Future[None]] = []
        self._task: asyncio.Task[None] | None = None

    def __repr__(self) -> str:
        return f"<Topics {len(self._known)} of {len(self._names)}, {'reachable' if self._reachable else 'Kafka away'}>"

    async def __aenter__(self) -> "Topics":
        self._client = self._settings.client()
        self._task = asyncio.create_task(self._run(), name="topics")
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])
        await self._client.close()

    def watch(self, names: Iterable[str], needed: Rights = MappingProxyType({})) -> None:
        """Look after these topics too (a reload may name new ones), and ask whether this is allowed."""
        if needed != self._needed:
            self._needed = needed
            self._poke.set()
        if not self._names.issuperset(names := set(names)):
            self._names |= names
            self._poke.set()

    def recheck(self, name: str) -> None:
        """Ask for the topic's settings again: the broker has just gone by others."""
        self._settings_read_s.pop(name, None)
        self._poke.set()

    def get(self, name: str) -> Topic:
        """See `seams.Topics.get`. Also raises KafkaForbids, where the cluster does not let us see the topic."""
        topic = self._known.get(name)
        if topic is None:
            raise self._absence(name)
        return topic

    async def find(self, name: str, deadline: Deadline) -> Topic:
        """See `seams.Topics.find`."""
        if self._answer is None:  # the first look is under way, and it is young enough
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(deadline.remaining_s()):
                    await self._first.wait()
        if name in self._known:
            return self._known[name]
        if name not in self._answered or now_s() - self._answered_s > APART_S:
            await self._look_again(name, deadline)
        return self.get(name)

    def cluster_id(self) -> str:
        """See `seams.Topics.cluster_id`."""
        if self._answer is None:
            raise KafkaAway("Kafka has not been reached since the bridge started. Try again.")
        return self._answer.cluster_id

    def state(self) -> ClusterState:
        answer = self._answer
        missing = tuple(sorted(self._names - self._known.keys())) if answer else ()
        return ClusterState(
            self._reachable,
            self._since_ms,
            answer.brokers if answer else 0,
            answer.cluster_id if answer else None,
            missing,
        )

    def _absence(self, name: str) -> ProxyError:
        if self._answer is None:
            return KafkaAway("Kafka has not been reached since the bridge started. Try again.")
        if name in self._forbidden:
            return KafkaForbids(f"The cluster does not let the bridge see topic {name!r}: it lacks DESCRIBE on it.")
        return TopicMissing(f"Topic {name!r} does not exist. It is not made by asking for it: create it in Kafka.")

    async def _look_again(self, name: str, deadline: Deadline) -> None:
        """Wait until a look that begins after now is over, or until the deadline."""
        self._names.add(name)
        self._wanted.add(name)
        waiting: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(waiting)
        self._poke.set()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(deadline.remaining_s()):
                await waiting

    async def _run(self) -> None:
        failures = 0
        while True:
            began_s = now_s()
            self._poke.clear()
            waiting, self._waiting = self._waiting, []
            try:
                failures = 0 if await self._look() else failures + 1
            except Exception as exc:  # noqa: BLE001 - nobody else would look again
                failures += 1
                log.error("topics_look_failed", exc=exc)
            for each in waiting:
                if not each.done():
                    each.set_result(None)
            pause_s = RETRY_S[min(failures, len(RETRY_S)) - 1] if failures else self._refresh_s
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(pause_s):  # `wait_for` would swallow a cancel that comes with the poke
                    await self._poke.wait()
            if not failures:
                await asyncio.sleep(began_s + APART_S - now_s())

    async def _look(self) -> bool:
        """Ask once. False: no broker answered, and what is known stays."""
        wanted, self._wanted = self._wanted, set()
        asked = frozenset(self._names)
        answer = await ask_cluster(self._client, asked)
        if answer is not None and self._create:
            answer = await self._make(wanted - answer.topics.keys(), asked, answer)
        if answer is None:
            self._reached(False)
            return False
        await self._read_settings(answer)
        await self._read_rights()
        self._learn(answer)
        self._reached(True)
        self._answered = frozenset(wanted) if self._create else asked
        self._answered_s = now_s()
        return True

    async def _make(self, missing: set[str], asked: frozenset[str], answer: ClusterAnswer) -> ClusterAnswer | None:
        """Create what is missing, and look until it is there."""
        for name in sorted(missing):
            reason = await create_topic(self._client, name, answer.controller)
            if reason is None:
                log.info("topic_created", topic=name)
            else:
                missing.discard(name)
                log.warning("topic_not_created", topic=name, reason=reason)
        looked: ClusterAnswer | None = answer
        for _ in range(CREATED_TRIES):
            if looked is None or not missing - looked.topics.keys():
                break
            await asyncio.sleep(0.1)
            looked = await ask_cluster(self._client, asked)
        return looked

    async def _read_settings(self, answer: ClusterAnswer) -> None:
        """Ask for the settings that are unknown or old. What cannot be read keeps its default, or its last value."""
        due_s = now_s() - SETTINGS_AGE_S
        due = [name for name in answer.topics if self._settings_read_s.get(name, due_s) <= due_s]
        if not due:
            return
        read = await ask_settings(self._client, due)
        self._topic_settings.update(read.settings)
        self._settings_read_s.update(dict.fromkeys(due, now_s()))
        for name, reason in read.refused.items():
            if ("settings", name) not in self._reported:
                self._reported.add(("settings", name))
                log.warning("topic_settings_unreadable", topic=name, reason=reason, using="Kafka's defaults")

    async def _read_rights(self) -> None:
        """Ask what we are allowed, and name to the operator what has just turned out to be missing."""
        if not self._needed:
            return
        self._held = await ask_rights(self._client, self._needed)
        before, self.lacks = self.lacks, lacking(self._needed, self._held)
        for resource, missing in self.lacks.items():
            if before.get(resource) != missing:
                level = log.debug if missing <= DISPENSABLE else log.warning
                level("kafka_right_missing", needs=in_words({resource: missing}))
        for resource in before.keys() - self.lacks.keys():
            log.info("kafka_right_granted", on=resource)

    def _may_write(self, name: str) -> bool:
        held = self._held.get(f"topic {name}")
        return held is None or "WRITE" in held

    def _learn(self, answer: ClusterAnswer) -> None:
        known = {
            name: dataclasses.replace(
                topic,
                may_write=self._may_write(name),
                **dataclasses.asdict(self._topic_settings.get(name, TopicSettings())),
            )
            for name, topic in answer.topics.items()
        }
        for name in self._known.keys() - known.keys():
            self._topic_settings.pop(name, None)
            self._settings_read_s.pop(name, None)
            log.warning("topic_gone", topic=name)
        for name in sorted(self._names - known.keys()):
            if ("missing", name) not in self._reported:
                self._reported.add(("missing", name))
                log.warning("topic_missing", topic=name)
        self._reported -= {("missing", name) for name in known}
        self._known, self._forbidden, self._answer = known, answer.forbidden, answer
        self._first.set()

    def _reached(self, reachable: bool) -> None:
        if reachable != self._reachable or (not reachable and self._answer is None and not self._reported):
            self._reachable, self._since_ms = reachable, wall_ms()
            if reachable:
                log.info("kafka_reached")
            else:
                self._reported.add(("away", ""))
                log.warning("kafka_not_reached", bootstrap_servers=self._settings.bootstrap_servers)
