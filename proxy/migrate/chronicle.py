"""What the control topic says: who is there, which stages are in force, which change is under way. Pure.

All replicas read the same records in the same order, so what follows here from the order alone is the same for all:

- An announcement opens a change if its epoch is the route's next one and no other is open. Else it has lost.
- The first outcome of an epoch counts, activated or abandoned; it closes the change and uses the epoch up.
- An outcome repeats its whole change, so that nothing older is needed to understand it (compaction removes that).

The topic is compacted: of each key only the last record stays. An outcome's key has its kind and its epoch modulo KEPT,
so the trail of each route is its last KEPT changes or so. An activation that came after its change was abandoned would
be the first once compaction had its way with the abandonments; who reads one takes it away (`void`). Announcements and
confirmations have a key for each replica, which its last record as it leaves, or another's once it is forgotten, takes
away.
"""

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

import orjson

from proxy.migrate.stages import Setting

KEPT = 256
LIVE_S = 5.0  # a replica not heard of for so long is not waited for
FORGOTTEN_S = 86_400.0

Kind = Literal["activated", "abandoned"]


@dataclass(frozen=True, slots=True)
class Change:
    """Somebody's wish to put a route at a setting. `accepted`: numbers that would have forbidden it, and may not."""

    id: str
    route: str
    epoch: int
    setting: Setting
    before: Setting
    replica: str  # that takes it through
    who: str
    why: str
    at_ms: int
    accepted: Mapping[str, int] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        return asdict(self) | {"setting": self.setting.as_json(), "before": self.before.as_json()}

    @classmethod
    def read(cls, said: Mapping[str, Any]) -> "Change":
        setting, before = (Setting.read(said[name]["stage"], said[name]["rollout"]) for name in ("setting", "before"))
        rest = {name: said[name] for name in ("id", "route", "epoch", "replica", "who", "why", "at_ms", "accepted")}
        return cls(setting=setting, before=before, **rest)


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a change ended. `reason` and `numbers`: why it was abandoned."""

    kind: Kind
    change: Change
    reason: str = ""
    numbers: Mapping[str, int] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        rest = {"outcome": self.kind, "reason": self.reason, "numbers": dict(self.numbers)}
        return self.change.as_json() | rest


@dataclass(frozen=True, slots=True)
class Confirmation:
    """What a replica has done about a change: `ready` holds its keys, `applied` serves its stage.

    `is_late`: in between it served the old stage. `requests`, `violations`: of its shadow (`seams.Figures`).
    """

    kind: Literal["ready", "applied"]
    replica: str
    route: str
    epoch: int
    is_late: bool = False
    requests: int = 0
    violations: int = 0


@dataclass(frozen=True, slots=True)
class Replica:
    """A process that serves routes on their way; a worker counts for itself. `name` is its place, `id` its one life."""

    id: str
    name: str
    pid: int
    since_ms: int
    number: int = 0  # of its heartbeats
    held: Mapping[str, int] = field(default_factory=dict)  # by route: records of its shadow that wait for Kafka, about

    @classmethod
    def read(cls, said: Mapping[str, Any]) -> "Replica":
        """Also of a later version, which says more."""
        return cls(**{name: said[name] for name in cls.__slots__ if name in said})


@dataclass(slots=True)
class RouteChronicle:
    """One route. `setting` is None until a change was activated: the file's counts."""

    setting: Setting | None = None
    epoch: int = 0
    open: Change | None = None
    ahead: Change | None = None  # announced before an outcome that compaction has moved behind it
    last: Outcome | None = None  # the one that put `setting` in force
    trail: dict[tuple[int, Kind], Outcome] = field(default_factory=dict)
    confirmations: dict[str, Confirmation] = field(default_factory=dict)

    def history(self) -> list[Outcome]:
        """Its changes, the newest first."""
        return sorted(self.trail.values(), key=lambda outcome: outcome.change.epoch, reverse=True)


@dataclass(slots=True)
class Chronicle:
    """Everything the control topic has said so far. `now_s` is monotonic seconds."""

    routes: dict[str, RouteChronicle] = field(default_factory=dict)
    replicas: dict[str, Replica] = field(default_factory=dict)
    heard_s: dict[str, float] = field(default_factory=dict)
    gone: dict[str, int] = field(default_factory=dict)  # by route: what the vanished held whose place others have taken
    replays: dict[str, dict[str, Any]] = field(default_factory=dict)  # by route: how far a replay has come
    void: set[bytes] = field(default_factory=set)  # keys of activations that came too late, and are still in the topic

    def __repr__(self) -> str:
        return f"<Chronicle {len(self.routes)} routes, {len(self.replicas)} replicas>"

    def route(self, name: str) -> RouteChronicle:
        return self.routes.setdefault(name, RouteChronicle())

    def age_s(self, replica: str, now_s: float) -> float:
        """Since it was last heard of."""
        return now_s - self.heard_s[replica]

    def live(self, now_s: float) -> set[str]:
        """The replicas that a change waits for."""
        return {each for each in self.replicas if self.age_s(each, now_s) < LIVE_S}

    def vanished(self, route: str, now_s: float) -> int:
        """Records of the route's shadow that replicas held which were not heard of again, and did not say goodbye."""
        live = self.live(now_s)
        here = sum(replica.held.get(route, 0) for each, replica in self.replicas.items() if each not in live)
        return here + self.gone.get(route, 0)

    def forgotten(self, now_s: float) -> Iterator[str]:
        """Those not heard of for a day, and those whose place another has taken."""
        live = self.live(now_s)
        taken = {self.replicas[each].name for each in live}
        for each, replica in self.replicas.items():
            if self.age_s(each, now_s) > FORGOTTEN_S or (each not in live and replica.name in taken):
                yield each

    def read(self, key: bytes | None, value: bytes | None, now_s: float) -> None:
        """The next record of the topic. What is none of ours, or of a later version, is passed over."""
        kind, _, rest = (key or b"").decode(errors="replace").partition("/")
        if value is None:
            self.void.discard(key or b"")
            self._taken_away(kind, rest)
            return
        try:
            said = orjson.loads(value)
            if said["v"] == 1:
                self._said(kind, said, now_s)
        except (orjson.JSONDecodeError, KeyError, TypeError, ValueError, AttributeError):
            return

    def _said(self, kind: str, said: dict[str, Any], now_s: float) -> None:
        match kind:
            case "replica":
                replica = Replica.read(said["replica"])
                self.replicas[replica.id], self.heard_s[replica.id] = replica, now_s
            case "announce":
                self._announced(Change.read(said["change"]))
            case "outcome":
                self._ended(Outcome(said["kind"], Change.read(said["change"]), said["reason"], said["numbers"]))
            case "confirm":
                confirmation = Confirmation(**said["confirmation"])
                self.route(confirmation.route).confirmations[confirmation.replica] = confirmation
            case "replay":
                self.replays[said["route"]] = said["progress"]

    def _announced(self, change: Change) -> None:
        route = self.route(change.route)
        if route.open is None and change.epoch == route.epoch + 1:
            route.open = change
        elif change.epoch > route.epoch + 1 and route.ahead is None:
            route.ahead = change

    def _ended(self, outcome: Outcome) -> None:
        change = outcome.change
        route = self.route(change.route)
        if change.epoch <= route.epoch:
            if outcome.kind == "activated" and (change.epoch, "abandoned") in route.trail:
                self.void.add(ending(outcome)[0])
            return
        route.trail = {key: each for key, each in route.trail.items() if key[0] > change.epoch - KEPT}
        route.trail[change.epoch, outcome.kind] = outcome
        route.epoch, route.open = change.epoch, None
        if route.ahead is not None and route.ahead.epoch <= change.epoch + 1:
            route.open = route.ahead if route.ahead.epoch == change.epoch + 1 else None
            route.ahead = None
        if outcome.kind == "activated":
            route.setting, route.last = change.setting, outcome

    def _taken_away(self, kind: str, rest: str) -> None:
        if kind == "replica" and rest in self.replicas:
            for name, held in self.replicas[rest].held.items():  # none of one that left by itself: it says so before
                self.gone[name] = self.gone.get(name, 0) + held
            del self.replicas[rest], self.heard_s[rest]
            for route in self.routes.values():
                route.confirmations.pop(rest, None)


# ---- records


def heartbeat(replica: Replica) -> tuple[bytes, bytes]:
    return f"replica/{replica.id}".encode(), _value(replica=asdict(replica))


def announcement(change: Change) -> tuple[bytes, bytes]:
    return f"announce/{change.route}/{change.replica}".encode(), _value(change=change.as_json())


def ending(outcome: Outcome) -> tuple[bytes, bytes]:
    change = outcome.change
    key = f"outcome/{change.route}/{change.epoch % KEPT}/{outcome.kind}"
    told = {"kind": outcome.kind, "reason": outcome.reason, "numbers": dict(outcome.numbers)}
    return key.encode(), _value(change=change.as_json(), **told)


def confirming(confirmation: Confirmation) -> tuple[bytes, bytes]:
    return f"confirm/{confirmation.route}/{confirmation.replica}".encode(), _value(confirmation=asdict(confirmation))


def replaying(route: str, progress: Mapping[str, Any]) -> tuple[bytes, bytes]:
    return f"replay/{route}".encode(), _value(route=route, progress=dict(progress))


def leaving(replica: str, routes: Mapping[str, RouteChronicle]) -> Iterator[bytes]:
    """The keys whose records go with a replica; its own first."""
    yield f"replica/{replica}".encode()
    for name in routes:
        yield f"announce/{name}/{replica}".encode()
        yield f"confirm/{name}/{replica}".encode()


def _value(**said: Any) -> bytes:
    return orjson.dumps({"v": 1, **said})
