"""What peers say to each other about a group, as plain lists (msgpack carries them), and back.

| who says it | message | |
|---|---|---|
| reader | `credit, group, hand-outs, records, is urgent` | from now on so many may come, of so many records each |
| owner | `hand, group, claim, rows` | one of them |
| reader | `given, group, lease` | a client has it |
| reader | `back, group, lease` | none is there to take it |
| reader | `settle, group, claim, held` · `release` · `shorten, group, claim, seconds` | without an answer |
| reader | asks `ack, group, claim, wish, delay_ms` | `done, outcome` · `refused, error, epoch, is moving` |
| reader | asks `resume, group, claim` | whether the stream was here |
| anyone | asks `state, group` | `done, state` |
| anyone | asks `seek, group, offsets` · `skip, group, topic, partition, offset` | `done, …` · `refused, error` |

Peers are believed: they hold the secret. Fields are only ever added, at the end; readers take what they know.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any

from proxy import errors
from proxy.consume.claim import Claim, Held
from proxy.consume.groups.handout import GroupState, PartitionState
from proxy.consume.groups.wish import Wish
from proxy.errors import NotNow, ProxyError
from proxy.record import Partition
from proxy.seams.groups import AckOutcome, Delivery


@dataclass(slots=True)
class Lent:
    """A record from a peer (`record.Fetched`)."""

    topic: str
    partition: int
    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: Sequence[tuple[str, bytes]]


def from_held(held: Held) -> list[Any]:
    return [[topic, number, [list(each) for each in ranges]] for (topic, number), ranges in held.items()]


def to_held(said: list[Any]) -> Held:
    return {Partition(topic, number): [(start, end) for start, end in ranges] for topic, number, ranges in said}


def from_claim(claim: Claim) -> list[Any]:
    return [claim.group, claim.lease_id, claim.until_ms, claim.records, from_held(claim.held), claim.stream_id]


def to_claim(said: list[Any]) -> Claim:
    group, lease_id, until_ms, records, held, stream_id, *_ = said
    return Claim(group, lease_id, until_ms, records, to_held(held), stream_id)


def from_records(records: Sequence[Delivery]) -> list[Any]:
    return [
        [r.topic, r.partition, r.offset, r.timestamp, r.key, r.value, [list(each) for each in r.headers], deliveries]
        for r, deliveries in records
    ]


def to_records(said: list[Any]) -> list[Delivery]:
    return [Delivery(Lent(*fields), deliveries) for *fields, deliveries in said]


def from_wish(wish: Wish) -> dict[str, Any]:
    named = {field.name: getattr(wish, field.name) for field in fields(wish)}
    return {name: from_held(each) if isinstance(each, Mapping) else each for name, each in named.items()}


def to_wish(said: dict[str, Any]) -> Wish:
    known = {field.name for field in fields(Wish)}
    named: dict[str, Any] = {k: to_held(each) if isinstance(each, list) else each for k, each in said.items()}
    return Wish(**{name: each for name, each in named.items() if name in known})


def from_outcome(outcome: AckOutcome) -> dict[str, Any]:
    return asdict(outcome)


def to_outcome(said: dict[str, Any]) -> AckOutcome:
    known = {field.name for field in fields(AckOutcome)}
    return AckOutcome(**{name: each for name, each in said.items() if name in known})


def from_state(state: GroupState) -> dict[str, Any]:
    told = asdict(state)
    return {**told, "partitions": [{**each, "partition": list(each["partition"])} for each in told["partitions"]]}


def to_state(said: dict[str, Any]) -> GroupState:
    """Fields that one version added have defaults: another one does not tell them."""
    partitions = [
        PartitionState(**_known(PartitionState, {**each, "partition": Partition(*each["partition"])}))
        for each in said["partitions"]
    ]
    return GroupState(**_known(GroupState, {**said, "partitions": partitions}))


def _known(kind: type[GroupState] | type[PartitionState], said: Mapping[str, Any]) -> dict[str, Any]:
    names = {each.name for each in fields(kind)}
    return {name: value for name, value in said.items() if name in names}


def from_error(error: ProxyError) -> list[Any]:
    return [type(error).__name__, error.detail, dict(error.extra), error.retry_after_s]


def to_error(said: list[Any]) -> ProxyError:
    """The same error as at the peer; a NotNow for one that this version does not know."""
    name, detail, extra, retry_after_s, *_ = said
    kind = getattr(errors, name, NotNow)
    if not (isinstance(kind, type) and issubclass(kind, ProxyError)):
        kind = NotNow
    error: ProxyError = kind(detail)
    error.extra, error.retry_after_s = extra, retry_after_s
    return error
